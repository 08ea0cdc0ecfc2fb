"""YAML is read as ever, but for keys that stand twice."""

import pytest
import yaml

from centernet_tf.strict_yaml import parse


@pytest.mark.parametrize(
    "text", ["", "a", "[1, 2.5, null]", "a: {b: 1, c: [x, y]}\nb: {b: 2}", "a: &one {b: 1}\nc: *one"]
)
def test_plain_values_are_those_of_yaml(text):
    assert parse(text) == yaml.safe_load(text)


@pytest.mark.parametrize(
    "text", ["a: 1\na: 2", "{a: 1, b: 2, a: 3}", "a:\n  - {b: 1, b: 1}", "a: [", "a: !!python/name:os.system"]
)
def test_keys_that_stand_twice_are_refused_as_broken_text_is(text):
    with pytest.raises(yaml.YAMLError):
        parse(text)


def test_the_key_and_its_place_are_told():
    with pytest.raises(yaml.YAMLError, match=r"'b' is given twice\n.*line 2, column 4"):
        parse("a: 1\nc: {b: 1, b: 1}")
