"""Settings of optimisation: the section `train` of a run's YAML."""

from typing import Annotated, Literal

import pydantic

from centernet_tf.points.task import Section

Device = pydantic.NonNegativeInt | Annotated[str, pydantic.Field(pattern=r"^(cpu|gpu|tpu):\d+$")]


class TrainSettings(Section):
    """Optimisation; the defaults are the original's."""

    epochs: Literal["auto"] | pydantic.PositiveInt = 140
    """How many times all images are shown. From scratch, at least 1,000 steps in all (images / batch_size x epochs);
    auto chooses by the number of images. 140 are the original's for COCO.
    """

    batch_size: Literal["auto"] | pydantic.PositiveInt = 32
    """Images of one step. Lower it where memory runs out; every device gets an equal part. auto chooses by the number
    of images, from 8 to 32, the original's.
    """

    accumulate: pydantic.PositiveInt = 1
    """Batches whose gradients make one update of the weights, for large batches on little memory."""

    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    """adam is the original's. adamw is Adam with weight decay; sgd has a momentum of 0.9 and wants a number as
    learning_rate.
    """

    weight_decay: float = pydantic.Field(0.0, ge=0)
    """How much weights shrink in each step, apart from the gradient; biases and normalisation do not. Not for adam."""

    learning_rate: Literal["auto", "scratch"] | pydantic.PositiveFloat = pydantic.Field("auto", validate_default=True)
    """The highest learning rate. auto is the original's rule, 1.25e-4 for 32 images of one update and in proportion,
    for trunks that are trained already; scratch is 5e-4 for 8 images and grows with the square root of their number; or
    a number.
    """

    schedule: Literal["step", "cosine"] = "step"
    """step divides the rate by ten after each of drop_epochs, as in the original; cosine lets it fall to 0 until the
    last epoch.
    """

    drop_epochs: tuple[pydantic.PositiveInt, ...] = (90, 120)
    """Epochs after which the rate drops to a tenth, where schedule is step."""

    warmup_steps: int = pydantic.Field(0, ge=0)
    """Steps in which the rate grows to its highest value. 100 to 500 help a training from scratch, or one whose loss
    becomes NaN.
    """

    clip_norm: pydantic.PositiveFloat | None = None
    """Longest gradient of a step; longer ones are made shorter, so that one bad batch does little harm. 10 is usual;
    null for no limit, as in the original.
    """

    ema: float = pydantic.Field(0.0, ge=0, lt=1)
    """Decay of the exponential moving average of the weights, which the model file then holds: 0.998 for some thousand
    steps. 0 for the weights themselves, as in the original.
    """

    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    """Numbers that the network computes with. mixed_bfloat16 is faster on newer GPUs, and on processors with AMX for
    ResNets; mixed_float16 is for older GPUs.
    """

    xla: Literal["auto"] | bool = "auto"
    """Whether steps are compiled by XLA; auto does so on JAX and on GPUs."""

    checkpoint_steps: pydantic.PositiveInt | None = None
    """Steps after which the state that a killed run goes on from is saved within an epoch, too, for long epochs. Null
    for the end of each epoch alone.
    """

    patience: pydantic.PositiveInt | None = None
    """Epochs without a better score on the validation set after which the run ends. Null for all epochs."""

    loggers: tuple[Literal["wandb", "mlflow"], ...] = ()
    """Where losses and scores are logged besides TensorBoard and CSV; each wants its package, pip install
    'centernet_tf[wandb]'.
    """

    devices: Literal["all"] | pydantic.PositiveInt | tuple[Device, ...] = 1
    """Devices of each process that train together: all, how many, or a list of numbers or names such as gpu:1. The
    batch is divided among them.
    """

    seed: int = 317
    """Start of everything random: first weights, order of the images, augmentation."""

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
