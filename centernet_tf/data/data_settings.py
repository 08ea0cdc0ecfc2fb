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
    """Where the records are, and how images reach the network."""

    train: Place
    """Folder of the records to train on, or their address in a bucket, s3://photos/train."""

    validation: Place | None = None
    """Likewise of those to score on while training, by which the best model is kept. Null to score nothing and keep the
    last model alone.
    """

    size: Literal["auto"] | tuple[Side, Side] = (512, 512)
    """Height and width of the network's input in pixels, multiples of the backbone's stride, 32 or 128. Larger finds
    smaller objects and takes more time and memory; auto chooses by the size of the objects.
    """

    mean: tuple[Fraction, Fraction, Fraction] | None = None
    """Mean of each channel, from 0 to 1, in the order that `order` names. Null for what the weights or the backbone
    were trained with; without such, COCO's, as in the original.
    """

    std: tuple[PositiveFraction, PositiveFraction, PositiveFraction] | None = None
    """Standard deviation of each channel, likewise."""

    order: Literal["bgr", "rgb"] | None = None
    """Order of the channels. Null as for mean: bgr, as in the original, but for some backbones of Keras."""

    fill: float | None = pydantic.Field(None, ge=0, le=255)
    """Grey level, 0 to 255, of what an image leaves empty of the input. Null for what the weights were trained with,
    else 0.
    """

    resample: Resample | None = None
    """How images are scaled: from the four nearest pixels, or from all that a pixel covers (area), as FairMOT does.
    Null for what the weights were trained with, else bilinear.
    """

    device_warp: bool = False
    """Send whole images to the device and crop and scale them there; worth it where the processor cannot keep up with a
    GPU. Not for rotated images, nor for videos.
    """

    workers: pydantic.PositiveInt | None = None
    """How many images are prepared at the same time. Null lets TensorFlow choose."""

    shuffle: pydantic.PositiveInt = 2048
    """How many records are held to be shuffled among each other; fewer take less memory."""
