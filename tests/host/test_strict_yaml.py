"""YAML is read as ever, but for keys that stand twice and for what would take hours, gigabytes or raise by accident."""

import itertools

import pytest
import yaml

from centernet_tf.host.strict_yaml import LONGEST_REASON, parse, parse_file

LETTERS = "abcdefghi"
BOMB = "a: &a [x, x, x]\n" + "\n".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]" for before, name in itertools.pairwise(LETTERS)
)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "[1, 2.5, null]",
        "a: {b: 1, c: [x, y]}\nb: {b: 2}",
        "a: &one {b: 1}\nc: *one",
        "a: &one {b: 1}\nc: {<<: *one, b: 2, d: 3}\ne: {<<: *one}\nf: *one",
        "{1: a, '1': b}",
        "[2001-02-03, 1.0e+5, 0x10, 12:30:45, .inf, yes]",
    ],
)
def test_plain_values_are_those_of_yaml(text):
    assert parse(text) == yaml.safe_load(text)


@pytest.mark.parametrize(
    "text",
    [
        *("a: 1\na: 2", "{a: 1, b: 2, a: 3}", "a:\n  - {b: 1, b: 1}", "a: [", "a: !!python/name:os.system"),
        *("{1: a, 0x1: b}", "{1: a, yes: b}", "<<: {a: 1, a: 2}", "a: &a {b: 1}\nc: {<<: *a, <<: *a}"),
    ],
)
def test_keys_that_stand_twice_are_refused_as_broken_text_is(text):
    with pytest.raises(yaml.YAMLError):
        parse(text)


def test_the_key_and_its_place_are_told():
    with pytest.raises(yaml.YAMLError, match=r"'b' is given twice .*line 2, column 4"):
        parse("a: 1\nc: {b: 1, b: 1}")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (BOMB, "aliases that stand for more than 10000 values"),
        (BOMB.replace("[x, x, x]", "{x: 1}").replace("[", "{<<: [").replace("]", "]}"), "aliases that stand for more"),
        ("a: &a [*a]", "an alias stands inside what it names"),
        ("[" * 2000, "more than 100 lists and maps inside each other"),
        ("- " * 2000 + "a", "more than 100 lists and maps inside each other"),
        ("a: " + "9" * 5000, "a number of 5000 characters"),
        ("a: 0x" + "f" * 5000, "a number of 5002 characters"),
        ("a: 1:" + "59:" * 2000 + "1", "a number of 6003 characters"),
        ("a: 2001-99-99", "'2001-99-99' cannot be read as timestamp; put quotes around text .*line 1, column 4"),
        ("a: !!bool maybe", "'maybe' cannot be read as bool"),
        ("a: !!int one", "'one' cannot be read as int"),
        ("? [a, b]\n: 1", "a list or map stands where a key belongs"),
        ("a: *" + "q" * 10**5, "found undefined alias"),
        ("a\0b", "unacceptable character"),
        ('a: "\\uD800"', "half of a character"),
    ],
)
def test_hostile_text_is_refused_in_one_short_line(text, problem):
    with pytest.raises(yaml.YAMLError, match=problem) as caught:
        parse(text)
    assert len(str(caught.value)) < LONGEST_REASON + 10 and "\n" not in str(caught.value)


def test_text_in_another_encoding_is_told_by_its_line(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: caf\xc3\xa9\n")
    assert parse_file(path) == {"a": "caf\u00e9"}
    path.write_bytes("a: 1\nb: caf\u00e9\n".encode("latin-1"))
    with pytest.raises(yaml.YAMLError, match="line 2 is not in UTF-8"):
        parse_file(path)
