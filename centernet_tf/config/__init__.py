"""The settings of one run: typed, frozen, read from one flat YAML file; a name they lack is an error."""

import ast
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pydantic
import yaml

from centernet_tf.config.problems import explain
from centernet_tf.config.settings import Settings, settings_type
from centernet_tf.errors import UsageError, brief
from centernet_tf.host.files import write_text
from centernet_tf.host.strict_yaml import parse, parse_file
from centernet_tf.tasks import TASKS


def read_settings(path: str | Path, changes: Sequence[str] = ()) -> Settings:
    """Reads a run's settings.

    Args:
        path: YAML file. Sections may be written as such, or their settings by whole names, "train.epochs: 10".
        changes: "name=value" or "section.name=value", each replacing one value of the file. Values are YAML.

    Returns:
        Checked settings.

    Raises:
        UsageError: The file is missing or not YAML, a name is unknown, or a value has the wrong type. The message names
            the file or the change, what came and what is known.
    """
    path = Path(path)
    try:
        content = parse_file(path) or {}
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file. `centernet init` writes one.") from None
    except (yaml.YAMLError, OSError) as error:
        raise UsageError(f"{path}: not readable as YAML ({error}).") from error
    if not isinstance(content, dict):
        raise UsageError(f"{path}: expected settings such as 'task: detect', got {brief(content)}.")
    return parse_settings(content, str(path), changes)


def task_settings(changes: Sequence[str]) -> dict[str, Any]:
    """The plain settings of one task of "name=value", values in YAML; unchecked.

    Raises:
        UsageError: One has no "=", or its value is not YAML.
    """
    content: dict[str, Any] = {}
    for change in changes:
        _apply(content, change)
    return content


def parse_settings(content: dict[str, Any], source: str, changes: Sequence[str] = ()) -> Settings:
    """As `read_settings`, of settings that are already read; `source` names where they come from in errors."""
    content = _in_sections(content, source)
    for change in changes:
        _apply(content, change)
    try:
        settings = settings_type().model_validate(content)
    except pydantic.ValidationError as error:
        raise UsageError("\n".join(f"{source}: {line}" for line in explain(error.errors()))) from None
    for name in content:
        if name in TASKS and name not in settings.task:
            raise UsageError(
                f"{source}: {name}: settings of a task that is not trained; this run trains "
                f"{', '.join(settings.task)}. Leave them out, or add it: task: [{', '.join((*settings.task, name))}]."
            )
    return settings


def write_settings(settings: Settings, path: Path) -> None:
    """Writes all settings, defaults included, so that the file alone repeats the run; whole or not at all."""
    write_text(path, yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False))


def _in_sections(content: dict[str, Any], source: str) -> dict[str, Any]:
    """The settings with those that are named as on the command line, "train.epochs: 10", in their sections."""
    dotted = [name for name in content if isinstance(name, str) and "." in name]
    found = {name: value for name, value in content.items() if name not in dotted}
    for name in dotted:
        section, last = _opened(found, name, source)
        if last in section:
            raise UsageError(f"{source}: {name} is given twice, in its section, too. Leave one of them out.")
        section[last] = content[name]
    return found


def _opened(content: dict[str, Any], name: str, source: str) -> tuple[dict[str, Any], str]:
    """The section that a name such as "train.epochs" is in, made where there is none, and the name in it.

    Sections on the way are copied, for YAML's aliases may stand for one in several places.
    """
    *sections, last = name.strip().split(".")
    for section in sections:
        inner = content.get(section)
        if not isinstance(inner, dict | None):
            raise UsageError(f"{source}: {section!r} is not a section.")
        copied = content[section] = dict(inner or {})
        content = copied
    return content, last


def _apply(content: dict[str, Any], change: str) -> None:
    name, equals, text = change.partition("=")
    if not equals:
        raise UsageError(f"--set {change!r}: expected name=value, for example --set train.epochs=10.")
    section, last = _opened(content, name, f"--set {change!r}")
    try:
        section[last] = _value(text)
    except yaml.YAMLError as error:
        raise UsageError(f"--set {change!r}: the value is not readable as YAML ({error}).") from error


def _value(text: str) -> Any:
    """YAML, plus Python's 1e-4, which YAML 1.1 takes for text."""
    value = parse(text)
    if isinstance(value, str):
        try:
            value = ast.literal_eval(value)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return value
    return value
