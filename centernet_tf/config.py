"""The settings of one run: typed, frozen, read from one flat YAML file; a name they lack is an error."""

import ast
import difflib
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import pydantic
import yaml
from pydantic_core import PydanticCustomError

from centernet_tf.data.augment_settings import AugmentSettings
from centernet_tf.errors import UsageError, brief, closest
from centernet_tf.host.bucket import Place
from centernet_tf.host.files import write_text
from centernet_tf.host.strict_yaml import parse, parse_file
from centernet_tf.points.loss_settings import LossSettings
from centernet_tf.points.task import Section, TaskSettings
from centernet_tf.preprocess import Resample
from centernet_tf.tasks import TASKS, check_tasks

Fraction = Annotated[float, pydantic.Field(ge=0, le=1)]
PositiveFraction = Annotated[float, pydantic.Field(gt=0, le=1)]
Side = Annotated[int, pydantic.Field(gt=0, le=16384)]  # pixels
Device = pydantic.NonNegativeInt | Annotated[str, pydantic.Field(pattern=r"^(cpu|gpu|tpu):\d+$")]


class DataSettings(Section):
    """Where the records are, directories or addresses such as s3://, and how images reach the network.

    size: height and width of its input; "auto" is what `data.choices` advises for these records, as is epochs of
    `TrainSettings`.
    mean, std (from 0 to 1) and order are those of `preprocess.Normalization`; None for what the weights or the backbone
    bring; fill, the grey level, 0 to 255, of what an image does not fill of the input, and resample, how it is scaled
    (`model.card.InputCard`), likewise.
    """

    train: Place
    validation: Place | None = None
    size: Literal["auto"] | tuple[Side, Side] = (512, 512)
    mean: tuple[Fraction, Fraction, Fraction] | None = None
    std: tuple[PositiveFraction, PositiveFraction, PositiveFraction] | None = None
    order: Literal["bgr", "rgb"] | None = None
    fill: float | None = pydantic.Field(None, ge=0, le=255)
    resample: Resample | None = None
    device_warp: bool = False
    workers: pydantic.PositiveInt | None = None
    shuffle: pydantic.PositiveInt = 2048


class TrainSettings(Section):
    """Optimisation; the defaults are the original's.

    weight_decay is decoupled from the gradient, and spares biases and normalisation; with sgd, whose momentum is 0.9,
    the learning rate is a number, for the rules are Adam's. patience: epochs without a better score on the validation
    set after which a run ends; None for all epochs. devices: see `training.devices`.
    """

    epochs: Literal["auto"] | pydantic.PositiveInt = 140
    batch_size: pydantic.PositiveInt = 32
    accumulate: pydantic.PositiveInt = 1
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    weight_decay: float = pydantic.Field(0.0, ge=0)
    learning_rate: Literal["auto", "scratch"] | pydantic.PositiveFloat = pydantic.Field("auto", validate_default=True)
    schedule: Literal["step", "cosine"] = "step"
    drop_epochs: tuple[pydantic.PositiveInt, ...] = (90, 120)
    warmup_steps: int = pydantic.Field(0, ge=0)
    clip_norm: pydantic.PositiveFloat | None = None
    ema: float = pydantic.Field(0.0, ge=0, lt=1)
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    xla: Literal["auto"] | bool = "auto"
    checkpoint_steps: pydantic.PositiveInt | None = None
    patience: pydantic.PositiveInt | None = None
    loggers: tuple[Literal["wandb", "mlflow"], ...] = ()
    devices: Literal["all"] | pydantic.PositiveInt | tuple[Device, ...] = 1
    seed: int = 317

    @pydantic.field_validator("weight_decay")
    @classmethod
    def _of_an_optimizer_that_decays(cls, value: float, info: pydantic.ValidationInfo) -> float:
        if value and info.data.get("optimizer") == "adam":
            raise ValueError("adam has none. Set train.optimizer to adamw or sgd")
        return value

    @pydantic.field_validator("learning_rate")
    @classmethod
    def _of_the_optimizer(cls, value: str | float, info: pydantic.ValidationInfo) -> str | float:
        if isinstance(value, str) and info.data.get("optimizer") == "sgd":
            raise ValueError("a rule of Adam's. Give sgd a number, such as 0.01")
        return value


class EvaluateSettings(Section):
    """Average precision on the validation set while training."""

    every: pydantic.PositiveInt = 5
    batch_size: pydantic.PositiveInt = 8
    images: int = pydantic.Field(4, ge=0)


class Settings(Section):
    """One run. Every value can be set from the command line: --set train.epochs=10.

    The settings of each task that is trained are a section under the task's name; `settings_type` adds them.
    """

    task: tuple[str, ...] = ("detect",)
    backbone: str = "resnet18"
    head_channels: pydantic.NonNegativeInt | dict[str, pydantic.NonNegativeInt] | None = None
    classes: tuple[str, ...] | None = None
    weights: Literal["imagenet"] | Path | None = None
    max_objects: pydantic.PositiveInt = 100
    class_specific_size: bool = False
    ltrb: bool = False
    iou_aware: float = pydantic.Field(0.0, ge=0, lt=1)
    data: DataSettings
    augment: AugmentSettings = AugmentSettings()
    loss: LossSettings = LossSettings()
    train: TrainSettings = TrainSettings()
    evaluate: EvaluateSettings = EvaluateSettings()

    @pydantic.model_validator(mode="before")
    @classmethod
    def _sections_of_tasks(cls, content: Any) -> Any:
        """Gives every task that is trained its section, so that defaults are filled in and what is missing is told."""
        named = content.get("task", ("detect",)) if isinstance(content, dict) else ()
        named = [named] if isinstance(named, str) else named
        named = named if isinstance(named, list | tuple) else []
        sections = {name: {} for name in named if isinstance(name, str) and name in TASKS}
        return {**sections, **content} if sections else content

    @pydantic.field_validator("task", mode="before")
    @classmethod
    def _one_task(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @pydantic.field_validator("task")
    @classmethod
    def _known_tasks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        check_tasks(value)
        return value

    @pydantic.model_serializer(mode="wrap")
    def _without_other_tasks(self, handler: pydantic.SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in handler(self).items() if name not in TASKS or name in self.task}

    @property
    def tasks(self) -> dict[str, TaskSettings]:
        """The settings of each task that is trained."""
        return {name: getattr(self, name) for name in self.task}

    def learning_rate(self) -> float:
        """The peak learning rate, for the images of one update.

        "auto" is the original's linear rule, 1.25e-4 for 32 images. It suits a trained trunk and large batches; with 8
        images and no trained weights it is too low to take off in hours. "scratch" is 5e-4 for 8 images and grows with
        the square root of their number, as Adam's noise does.
        """
        images = self.train.batch_size * self.train.accumulate
        rules = {"auto": 1.25e-4 * images / 32, "scratch": 5e-4 * (images / 8) ** 0.5}
        return rules.get(self.train.learning_rate, self.train.learning_rate)


def settings_type() -> type[Settings]:
    """Settings with a section for each task that is in the table now."""
    return _settings_type(tuple(TASKS.items()))


@functools.cache
def _settings_type(tasks: tuple[tuple[str, type[TaskSettings]], ...]) -> type[Settings]:
    if taken := [name for name, _ in tasks if name in Settings.model_fields]:
        raise ValueError(f"Task {taken[0]!r} has the name of a setting. Give it another in centernet_tf.tasks.TASKS.")
    sections: dict[str, Any] = {
        name: (Annotated[section | None, pydantic.BeforeValidator(_some_section)], None) for name, section in tasks
    }
    return pydantic.create_model("Settings", __base__=Settings, __module__=__name__, **sections)


def _some_section(value: Any) -> Any:
    """Refuses a section that is there but empty, as all other sections do."""
    if value is None:
        raise PydanticCustomError("model_type", "Input should be settings")
    return value


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
    for change in changes:
        _apply(content, change)
    try:
        settings = settings_type().model_validate(content)
    except pydantic.ValidationError as error:
        raise UsageError("\n".join(f"{source}: {line}" for line in _explain(error.errors()))) from None
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


def _explain(problems: Sequence[Any]) -> list[str]:
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
    parts = (get_args(field.annotation) or (field.annotation,)) if field else ()
    if field and get_origin(field.annotation) is dict:
        return dict
    return next((part for part in parts if isinstance(part, type) and issubclass(part, Section)), None)


def _elsewhere(name: str) -> str:
    """The hint for a setting of another section."""
    homes: dict[str, str] = {}
    for section in settings_type().model_fields:
        for inner in getattr(_kind(settings_type(), section), "model_fields", ()):
            homes.setdefault(inner, f"{section}.{inner}")
    near = difflib.get_close_matches(name, homes, n=1, cutoff=0.75)
    return f" Did you mean {homes[near[0]]!r}?" if near else ""


def _section(names: Sequence[str]) -> type[Section]:
    model: Any = settings_type()
    for name in names:
        model = _kind(model, name)
    return model
