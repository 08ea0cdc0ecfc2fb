"""Settings of records and of the network's input: the section `data` of a run's YAML."""

from typing import Annotated, Literal

import pydantic

from centernet_tf.host.bucket import Place
from centernet_tf.points.task import Section
from centernet_tf.preprocess import Resample

Fraction = Annotated[float, pydantic.Field(ge=0, le=1)]
PositiveFraction = Annotated[float, pydantic.Field(gt=0, le=1)]
Side = Annotated[int, pydantic.Field(gt=0, le=16384)]  # pixels


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
