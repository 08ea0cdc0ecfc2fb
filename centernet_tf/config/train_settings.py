"""Settings of optimisation: the section `train` of a run's YAML."""

from typing import Annotated, Literal

import pydantic

from centernet_tf.points.task import Section

Device = pydantic.NonNegativeInt | Annotated[str, pydantic.Field(pattern=r"^(cpu|gpu|tpu):\d+$")]


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
