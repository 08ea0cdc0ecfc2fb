"""Every setting says what it does, and what it may be."""

from typing import Annotated, Literal

import pydantic
import pytest

from centernet_tf.config.describe import as_yaml, choices, properties, sections
from centernet_tf.config.settings import Settings
from centernet_tf.points.task import Section, TaskSettings
from centernet_tf.properties import PROPERTIES
from centernet_tf.tasks import TASKS

ALL = {section.name: section for section in sections()}
SPOKEN = {**ALL, **{f"property {one.name}": one for one in properties()}}


def test_all_sections_are_there():
    assert list(ALL)[:6] == ["", "data", "augment", "loss", "train", "evaluate"]
    assert set(ALL) == {"", "data", "augment", "loss", "train", "evaluate", *TASKS}
    assert {one.name for one in ALL[""].settings} == set(Settings.model_fields) - set(ALL)


@pytest.mark.parametrize("name", SPOKEN)
def test_every_setting_says_what_it_does(name):
    section = SPOKEN[name]
    assert section.told.endswith(".")
    silent = [one.name for one in section.settings if not 20 < len(one.told) < 450 or not one.told.endswith(".")]
    assert not silent, f"{silent}: write one to three sentences below the setting"


def test_every_property_is_there():
    assert [one.name for one in properties()] == list(PROPERTIES)
    known = {one.name for described in properties() for one in described.settings}
    assert known == {f"{name}.{field}" for name, kind in PROPERTIES.items() for field in kind.model_fields}


@pytest.mark.parametrize("name", ALL)
def test_every_setting_says_what_it_may_be(name):
    assert all(one.choices for one in ALL[name].settings)
    wanting = [one.name for one in ALL[name].settings if one.default is None]
    assert wanting == (["data.train"] if name == "data" else [])


def test_sections_of_other_tasks_are_left_out():
    first, second, *_ = TASKS
    assert [one.name for one in sections([second])] == [*list(ALL)[:6], second]
    assert first not in [one.name for one in sections([second])]


class Hue(TaskSettings):
    """Colours.

    More of them.
    """

    shades: int = pydantic.Field(4, ge=1)
    """How many
    there are.
    """

    wheel: bool = False


def test_a_task_of_the_user(monkeypatch):
    monkeypatch.setitem(TASKS, "hue", Hue)
    (hue,) = [one for one in sections(["hue"]) if one.name == "hue"]
    shades, wheel = hue.settings
    assert hue.told == "Colours."
    assert (shades.name, shades.default, shades.told) == ("hue.shades", "4", "How many there are.")
    assert (wheel.name, wheel.default, wheel.told) == ("hue.wheel", "false", "")


class Inner(pydantic.BaseModel):
    names: tuple[str, ...]
    pairs: tuple[int, ...] = ()


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (bool, "true or false"),
        (str, "text"),
        (int, "whole number"),
        (pydantic.PositiveInt, "whole number from 1"),
        (pydantic.NonNegativeFloat, "number from 0"),
        (pydantic.PositiveFloat, "number above 0"),
        (Annotated[float, pydantic.Field(ge=0, lt=1)], "number from 0 to below 1"),
        (Annotated[float, pydantic.Field(gt=0, le=1)], "number above 0 to 1"),
        (Annotated[int, pydantic.Field(gt=0, le=64)], "whole number from 1 to 64"),
        (Literal["auto"], "auto"),
        (Literal["a", "b"], "a or b"),
        (Literal["a", "b"] | None, "a, b or null"),
        (Literal["auto"] | bool, "auto, true or false"),
        (pydantic.FilePath | None, "file-path or null"),
        (tuple[int, ...], "[whole number, ...]"),
        (tuple[pydantic.PositiveInt, pydantic.PositiveInt], "[2 x whole number from 1]"),
        (tuple[Literal["a", "b"], ...], "[a or b, ...]"),
        (dict[str, pydantic.PositiveFloat], "{name: number above 0}"),
        (Inner | None, "{names: ..., pairs: ...} or null"),
    ],
)
def test_choices(kind, words):
    schema = pydantic.create_model("One", __base__=Section, value=(kind, ...)).model_json_schema()
    assert choices(schema["properties"]["value"], schema.get("$defs", {})) == words


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        ((), "[]"),
        ({}, "{}"),
        ((0.6, 1.3), "[0.6, 1.3]"),
        ("longer side", "longer side"),
        ("null", "'null'"),
        (tuple(range(100)), f"[{', '.join(map(str, range(100)))}]"),
    ],
)
def test_values_as_yaml(value, text):
    assert as_yaml(value) == text
