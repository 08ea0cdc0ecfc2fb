"""What every setting is, for people: its section, name, choices, default, and what it does."""

import dataclasses
import inspect
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pydantic
import yaml
from pydantic_core import to_jsonable_python

from centernet_tf.config.settings import section_of, settings_type
from centernet_tf.properties import PROPERTIES
from centernet_tf.tasks import TASKS


@dataclasses.dataclass(frozen=True)
class Setting:
    """One setting.

    Attributes:
        name: As `--set` takes it, "train.epochs".
        choices: What it may be.
        default: As YAML; None where the setting must be given.
        told: What it does, in one line; "" where nobody said so.
    """

    name: str
    choices: str
    default: str | None
    told: str


@dataclasses.dataclass(frozen=True)
class Described:
    """One section.

    Attributes:
        name: Of the section, or of the property; "" of the run's own settings.
        told: What they are of, in one line.
        settings: In the order in which they are explained, for some say "likewise".
    """

    name: str
    told: str
    settings: tuple[Setting, ...]


def sections(tasks: Iterable[str] = ()) -> list[Described]:
    """All sections of a run that trains these tasks, of all tasks where none are named; its own settings first."""
    run = settings_type()
    left_out = {*TASKS} - {*tasks} if tasks else set()
    inner = {name: section_of(run, name) for name in run.model_fields if name not in left_out}
    found = [Described("", _first_paragraph(run.__base__), tuple(_settings(run, "")))]
    for name, section in inner.items():
        if section is not None:
            found.append(Described(name, _first_paragraph(section), tuple(_settings(section, f"{name}."))))
    return found


def properties() -> list[Described]:
    """What a dataset.yaml may say of each property that the objects of its records have."""
    return [
        Described(name, _first_paragraph(one), tuple(_settings(one, f"{name}."))) for name, one in PROPERTIES.items()
    ]


def _settings(section: type[pydantic.BaseModel], prefix: str) -> Iterator[Setting]:
    schema = section.model_json_schema()
    for name, field in section.model_fields.items():
        if section_of(section, name) is None:
            yield Setting(
                prefix + name,
                choices(schema["properties"][name], schema.get("$defs", {})),
                None if field.is_required() else as_yaml(field.get_default(call_default_factory=True)),
                " ".join((field.description or "").split()),
            )


def _first_paragraph(section: type[pydantic.BaseModel]) -> str:
    return " ".join((inspect.getdoc(section) or "").partition("\n\n")[0].split())


def as_yaml(value: Any) -> str:
    """A value as it stands behind its name in a file of settings, in one line."""
    text = yaml.safe_dump(to_jsonable_python(value), default_flow_style=True, width=float("inf"))
    return text.removesuffix("...\n").strip()


def choices(schema: Mapping[str, Any], known: Mapping[str, Any]) -> str:
    """What a value may be, in words: "a, b or whole number from 1".

    Args:
        schema: JSON schema of the value, as pydantic makes it.
        known: Those that it refers to, by name.
    """
    *first, last = dict.fromkeys(_alternatives(schema, known))
    return f"{', '.join(first)} or {last}" if first else last


def _alternatives(schema: Mapping[str, Any], known: Mapping[str, Any]) -> Iterator[str]:
    # A reference that has a description stands alone in "allOf" where pydantic is old.
    if inner := schema.get("anyOf", schema.get("allOf")):
        for one in inner:
            yield from _alternatives(one, known)
    elif "$ref" in schema:
        names = known[schema["$ref"].rpartition("/")[2]]["properties"]
        yield f"{{{', '.join(f'{name}: ...' for name in names)}}}"
    elif "const" in schema or "enum" in schema:
        yield from map(as_yaml, schema.get("enum", [schema.get("const")]))
    elif schema["type"] == "array" and "prefixItems" in schema:
        yield f"[{len(schema['prefixItems'])} x {choices(schema['prefixItems'][0], known)}]"
    elif schema["type"] == "array":
        yield f"[{choices(schema['items'], known)}, ...]"
    elif schema["type"] == "object":
        yield f"{{name: {choices(schema['additionalProperties'], known)}}}"
    elif schema["type"] in ("integer", "number"):
        yield _number(schema)
    elif schema["type"] == "boolean":
        yield from ("true", "false")
    else:
        yield "null" if schema["type"] == "null" else schema.get("format", "text")


def _number(schema: Mapping[str, Any]) -> str:
    """A number and its range; none of those in use has an upper end alone."""
    whole = schema["type"] == "integer"
    least = schema.get("minimum", schema["exclusiveMinimum"] + 1 if whole and "exclusiveMinimum" in schema else None)
    words = ["whole number" if whole else "number"]
    if least is not None:
        words.append(f"from {least:g}")
    elif "exclusiveMinimum" in schema:
        words.append(f"above {schema['exclusiveMinimum']:g}")
    if "maximum" in schema:
        words.append(f"to {schema['maximum']:g}")
    elif "exclusiveMaximum" in schema:
        words.append(f"to below {schema['exclusiveMaximum']:g}")
    return " ".join(words)
