"""What is wrong with settings, in words: their section, what came, what is known."""

import difflib
from collections.abc import Sequence
from typing import Any, get_origin

from centernet_tf.config.settings import section_of, settings_type
from centernet_tf.errors import brief, closest
from centernet_tf.points.task import Section


def explain(problems: Sequence[Any]) -> list[str]:
    """One line for each setting that pydantic complains of: its section, what came, what is known."""
    alternatives: dict[tuple[str, ...], list[Any]] = {}
    for problem in problems:
        alternatives.setdefault(_place(problem["loc"]), []).append(problem)
    # Where a part of a value is wrong, that the whole is no word either says nothing.
    for inner in list(alternatives):
        alternatives.pop(inner[:-1], None)
    lines = []
    for (*sections, last), (problem, *others) in alternatives.items():
        where = "".join(f"{section}: " for section in sections)
        if problem["type"] == "extra_forbidden":
            known = list(_section(sections).model_fields)
            hint = closest(last, known) or _elsewhere(last)
            lines.append(f"{where}unknown setting {last!r}.{hint} Known here: {', '.join(known) or 'none'}.")
        elif problem["type"] == "missing":
            lines.append(f"{where}setting {last!r} is missing.")
        elif problem["type"] == "model_type":
            known = ", ".join(_section([*sections, last]).model_fields) or "none"
            lines.append(
                f"{where}{last} is {brief(problem['input'])}: expected a section, {last}: {{name: value}}, or no "
                f"such line. Known there: {known}."
            )
        elif problem["type"] == "value_error":
            said = str(problem["ctx"]["error"])
            came = brief(problem["input"])
            lines.append(f"{where}{last} is {came}: {said if said.endswith(('.', '?')) else f'{said}.'}")
        else:
            also = "".join(f" or {other['msg'].removeprefix('Input should be ')}" for other in others)
            lines.append(f"{where}{last} is {brief(problem['input'])}: {problem['msg']}{also}.")
    return lines


def _place(location: Sequence[str | int]) -> tuple[str, ...]:
    """Names down to the setting, without pydantic's names for the types that its value might have had."""
    place: list[str] = []
    section: Any = settings_type()
    for part in location:
        if isinstance(part, int):
            place.append(f"value {part + 1}")
        elif section is dict:
            place[-1] += f".{part}"
            section = None
        elif section is not None:
            place.append(part)
            section = _kind(section, part)
    return tuple(place)


def _kind(section: type[Section], name: str) -> type | None:
    """What a setting holds: the type of a section or `dict`; None for plain values and unknown names."""
    field = section.model_fields.get(name)
    return dict if field and get_origin(field.annotation) is dict else section_of(section, name)


def _elsewhere(name: str) -> str:
    """The hint for a setting of another section."""
    homes: dict[str, str] = {}
    for section in settings_type().model_fields:
        for inner in getattr(section_of(settings_type(), section), "model_fields", ()):
            homes.setdefault(inner, f"{section}.{inner}")
    near = difflib.get_close_matches(name, homes, n=1, cutoff=0.75)
    return f" Did you mean {homes[near[0]]!r}?" if near else ""


def _section(names: Sequence[str]) -> type[Section]:
    model: Any = settings_type()
    for name in names:
        model = section_of(model, name)
    return model
