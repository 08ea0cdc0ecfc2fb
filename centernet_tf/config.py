"""The settings of one run: typed, frozen, read from one flat YAML file; a name they lack is an error."""

import ast
import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_origin

import pydantic
import yaml

from centernet_tf.errors import UsageError, closest
from centernet_tf.yaml_text import parse


class Section(pydantic.BaseModel):
    """Base of all settings: unknown names are errors, values cannot change."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


Share = Annotated[float, pydantic.Field(ge=0, le=1)]
PositiveShare = Annotated[float, pydantic.Field(gt=0, le=1)]


class DataSettings(Section):
    """Where the records are and how images reach the network.

    mean, std (from 0 to 1) and order are those of `preprocess.Normalization`; None for what the weights or the backbone
    bring.
    """

    train: Path
    validation: Path | None = None
    size: tuple[pydantic.PositiveInt, pydantic.PositiveInt] = (512, 512)
    mean: tuple[Share, Share, Share] | None = None
    std: tuple[PositiveShare, PositiveShare, PositiveShare] | None = None
    order: Literal["bgr", "rgb"] | None = None
    device_warp: bool = False
    workers: pydantic.PositiveInt | None = None
    shuffle: pydantic.PositiveInt = 2048


class AugmentSettings(Section):
    """Random changes of training images; the defaults are the original's."""

    crop: bool = True
    shift: float = pydantic.Field(0.1, ge=0)
    scale: float = pydantic.Field(0.4, ge=0, lt=1)
    jitter_probability: float = pydantic.Field(1.0, ge=0, le=1)
    shift_each_side: bool = False
    rotate: float = pydantic.Field(0.0, ge=0, le=180)
    rotate_probability: float = pydantic.Field(0.0, ge=0, le=1)
    flip: float = pydantic.Field(0.5, ge=0, le=1)
    brightness: float = pydantic.Field(0.4, ge=0, le=1)
    contrast: float = pydantic.Field(0.4, ge=0, le=1)
    saturation: float = pydantic.Field(0.4, ge=0, le=1)
    lighting: float = pydantic.Field(0.1, ge=0)


class TrainSettings(Section):
    """Optimisation; the defaults are the original's."""

    epochs: pydantic.PositiveInt = 140
    batch: pydantic.PositiveInt = 32
    accumulate: pydantic.PositiveInt = 1
    optimizer: Literal["adam", "adamw"] = "adam"
    weight_decay: float = pydantic.Field(0.0, ge=0)
    learning_rate: Literal["auto", "scratch"] | pydantic.PositiveFloat = "auto"
    schedule: Literal["step", "cosine"] = "step"
    drop_epochs: tuple[pydantic.PositiveInt, ...] = (90, 120)
    warmup_steps: int = pydantic.Field(0, ge=0)
    clip_norm: pydantic.PositiveFloat | None = None
    average: float = pydantic.Field(0.0, ge=0, lt=1)
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    xla: Literal["auto"] | bool = "auto"
    checkpoint_steps: pydantic.PositiveInt | None = None
    seed: int = 317


class EvaluateSettings(Section):
    """Average precision on the validation set while training."""

    every: pydantic.PositiveInt = 5
    batch: pydantic.PositiveInt = 8
    pictures: int = pydantic.Field(4, ge=0)


class LossSettings(Section):
    """What counts how much in the loss."""

    weights: dict[str, Annotated[float, pydantic.Field(ge=0, allow_inf_nan=False)]] = {}
    corrected_radius: bool = False
    ignore_crowd: bool = False
    neutral_area: bool = False


class Settings(Section):
    """One run. Every value can be set from the command line: --set train.epochs=10."""

    task: tuple[str, ...] = ("detect",)
    backbone: str = "resnet18"
    head_channels: int | None = pydantic.Field(None, ge=0)
    classes: tuple[str, ...] | None = None
    weights: Literal["imagenet"] | Path | None = None
    max_objects: pydantic.PositiveInt = 100
    class_specific_size: bool = False
    skeleton: Path | None = None
    joint_classes: tuple[str, ...] | None = None
    box3d_size: bool = True
    box3d_amodal_offset: bool = False
    data: DataSettings
    augment: AugmentSettings = AugmentSettings()
    loss: LossSettings = LossSettings()
    train: TrainSettings = TrainSettings()
    evaluate: EvaluateSettings = EvaluateSettings()

    @pydantic.field_validator("task", mode="before")
    @classmethod
    def _one_task(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    def learning_rate(self) -> float:
        """The peak learning rate, for the images of one update.

        "auto" is the original's linear rule, 1.25e-4 for 32 images. It suits a trained trunk and large batches; with 8
        images and no trained weights it is too low to take off in hours. "scratch" is 5e-4 for 8 images and grows with
        the square root of their number, as Adam's noise does.
        """
        images = self.train.batch * self.train.accumulate
        rules = {"auto": 1.25e-4 * images / 32, "scratch": 5e-4 * (images / 8) ** 0.5}
        return rules.get(self.train.learning_rate, self.train.learning_rate)


def read_settings(path: str | Path, changes: Sequence[str] = ()) -> Settings:
    """Reads a run's settings.

    Args:
        path: YAML file.
        changes: "name=value" or "section.name=value", each replacing one value of the file. Values are YAML.

    Returns:
        Checked settings.

    Raises:
        UsageError: The file is missing or not YAML, a name is unknown, or a value has the wrong type. The message names
            the file or the change, what came and what is known.
    """
    path = Path(path)
    try:
        content = parse(path.read_text(encoding="utf-8")) or {}
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file. Start from one in configs/.") from None
    except (yaml.YAMLError, UnicodeDecodeError, IsADirectoryError) as error:
        raise UsageError(f"{path}: not readable as YAML ({_one_line(error)}).") from error
    if not isinstance(content, dict):
        raise UsageError(f"{path}: expected settings such as 'task: detect', got {content!r:.60}.")
    for change in changes:
        _apply(content, change)
    return parse_settings(content, str(path))


def parse_settings(content: dict[str, Any], source: str) -> Settings:
    """Checks settings that are already read; `source` names where they come from in errors."""
    try:
        return Settings.model_validate(content)
    except pydantic.ValidationError as error:
        raise UsageError("\n".join(f"{source}: {line}" for line in _explain(error.errors()))) from None


def write_settings(settings: Settings, path: Path) -> None:
    """Writes all settings, defaults included, so that the file alone repeats the run; whole or not at all."""
    temporary = path.with_name(f".{path.name}.writing")
    temporary.write_text(yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False), encoding="utf-8")
    temporary.replace(path)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _apply(content: dict[str, Any], change: str) -> None:
    name, equals, text = change.partition("=")
    if not equals:
        raise UsageError(f"--set {change!r}: expected name=value, for example --set train.epochs=10.")
    *sections, last = name.strip().split(".")
    for section in sections:
        if content.get(section) is None:
            content[section] = {}
        content = content[section]
        if not isinstance(content, dict):
            raise UsageError(f"--set {change!r}: {section!r} is not a section.")
    try:
        content[last] = _value(text)
    except yaml.YAMLError as error:
        raise UsageError(f"--set {change!r}: the value is not readable as YAML ({_one_line(error)}).") from error


def _value(text: str) -> Any:
    """YAML, plus Python's 1e-4, which YAML 1.1 takes for text."""
    value = parse(text)
    if isinstance(value, str):
        try:
            value = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            return value
    return value


def _explain(problems: Sequence[Any]) -> list[str]:
    """One line for each setting that pydantic complains of: its section, what came, what is known."""
    alternatives: dict[tuple[str, ...], list[Any]] = {}
    for problem in problems:
        alternatives.setdefault(_place(problem["loc"]), []).append(problem)
    lines = []
    for (*sections, last), (problem, *others) in alternatives.items():
        where = "".join(f"{section}: " for section in sections)
        if problem["type"] == "extra_forbidden":
            known = list(_section(sections).model_fields)
            hint = closest(last, known) or _elsewhere(last)
            lines.append(f"{where}unknown setting {last!r}.{hint} Known here: {', '.join(known)}.")
        elif problem["type"] == "missing":
            lines.append(f"{where}setting {last!r} is missing.")
        elif problem["type"] == "model_type":
            known = list(_section([*sections, last]).model_fields)
            lines.append(
                f"{where}{last} is {problem['input']!r}: expected settings of its own, {last}: {{name: value}}, or no "
                f"such line. Known there: {', '.join(known)}."
            )
        else:
            also = "".join(f" or {other['msg'].removeprefix('Input should be ')}" for other in others)
            lines.append(f"{where}{last} is {problem['input']!r}: {problem['msg']}{also}.")
    return lines


def _place(location: Sequence[str | int]) -> tuple[str, ...]:
    """Names down to the setting, without pydantic's names for the types that its value might have had."""
    place: list[str] = []
    section: Any = Settings
    for part in location:
        if isinstance(part, int):
            place.append(f"value {part + 1}")
        elif section is dict:
            place[-1] += f".{part}"
            section = None
        elif section is not None:
            place.append(part)
            kind = section.model_fields[part].annotation if part in section.model_fields else None
            kind = get_origin(kind) or kind
            section = kind if isinstance(kind, type) and issubclass(kind, (Section, dict)) else None
    return tuple(place)


def _elsewhere(name: str) -> str:
    """The hint for a setting of another section."""
    homes = {
        inner: f"{section}.{inner}"
        for section, field in Settings.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section)
        for inner in field.annotation.model_fields
    }
    near = difflib.get_close_matches(name, homes, n=1, cutoff=0.75)
    return f" Did you mean {homes[near[0]]!r}?" if near else ""


def _section(names: Sequence[str]) -> type[Section]:
    model: Any = Settings
    for name in names:
        model = model.model_fields[name].annotation
    return model
