"""What a file leaves out stands behind it as comments, each of which is a setting without its "# "."""

import re

import pytest
import yaml

from centernet_tf import recipes
from centernet_tf.config import parse_settings
from centernet_tf.config.commented import WIDTH, commented
from centernet_tf.config.describe import sections
from centernet_tf.host.strict_yaml import parse
from centernet_tf.tasks import TASKS

SETTING = re.compile(r"^# (?=[a-z_0-9.]+: )", re.MULTILINE)


def behind(task):
    """The recipe for one's own data, and what stands behind it."""
    text = recipes.own(task)
    return text, commented(yaml.safe_load(text), [task])


def names(task):
    return [setting.name for section in sections([task]) for setting in section.settings]


def read(text):
    return parse_settings(parse(text), "here")


@pytest.mark.parametrize("task", TASKS)
def test_comments_change_nothing(task):
    recipe, rest = behind(task)
    assert parse(rest) is None
    assert read(recipe + rest) == read(recipe)


@pytest.mark.parametrize("task", TASKS)
def test_all_of_them_are_valid_and_the_defaults(task):
    recipe, rest = behind(task)
    assert read(recipe + SETTING.sub("", rest)) == read(recipe)


@pytest.mark.parametrize("task", TASKS)
def test_each_of_them_is_valid_and_the_default(task):
    recipe, rest = behind(task)
    content, lines = parse(recipe), SETTING.sub("", rest).splitlines()
    settings, single = parse_settings(content, "here"), [line for line in lines if line and not line.startswith("#")]
    assert len(single) > 50
    for line in single:
        assert parse_settings({**content, **parse(line)}, "here") == settings, line


@pytest.mark.parametrize("task", TASKS)
def test_every_setting_is_explained_once(task):
    recipe, rest = behind(task)
    found = re.findall(r"^# ([a-z_0-9.]+): |^## ([a-z_0-9.]+), above: ", rest, re.MULTILINE)
    assert [open or above for open, above in found] == names(task)
    content = yaml.safe_load(recipe)
    given = {f"{name}.{inner}" for name, one in content.items() if isinstance(one, dict) for inner in one}
    given |= {name for name, one in content.items() if not isinstance(one, dict)}
    assert {above for _, above in found if above} == given


def test_what_is_set_by_its_whole_name_is_set():
    rest = commented({"task": "detect", "data": {"train": "records"}, "train.epochs": 3, "loss": None}, ["detect"])
    assert "## train.epochs, above: " in rest and "# train.epochs: " not in rest
    assert "# train.seed: 317  # whole number\n" in rest and "# loss.box: sides" in rest


@pytest.mark.parametrize("task", TASKS)
def test_lines_are_short(task):
    _, rest = behind(task)
    assert max(map(len, rest.splitlines())) <= WIDTH
