"""Settings of augmentation: the section `augment` of a run's YAML."""

import pydantic

from centernet_tf.data.augment import Geometry
from centernet_tf.data.stretched import Place
from centernet_tf.points.task import Section


class AugmentSettings(Section):
    """Random changes of training images; the defaults are the original's."""

    crop: bool = True
    """Show a window of random size and place; otherwise shift and scale move the whole image."""

    crop_scales: tuple[pydantic.PositiveFloat, pydantic.PositiveFloat] = (0.6, 1.3)
    """Smallest and largest side of such windows, as parts of the image's longer side; those between are in steps of
    0.1.
    """

    shift: float = pydantic.Field(0.1, ge=0)
    """Standard deviation of random shifts where crop is false, as a part of the window's side; at most twice that."""

    scale: float = pydantic.Field(0.4, ge=0, lt=1)
    """Standard deviation of random scaling where crop is false; at most that."""

    jitter_probability: float = pydantic.Field(1.0, ge=0, le=1)
    """Part of the images that shift and scale change; crop changes all."""

    shift_each_side: bool = False
    """Shift by a part of each side instead of the window's, as the original does where distances are learnt."""

    rotate: float = pydantic.Field(0.0, ge=0, le=180)
    """Standard deviation of random rotations in degrees, at most twice that; where geometry is fitted, the largest
    angle.
    """

    rotate_probability: float = pydantic.Field(0.0, ge=0, le=1)
    """Part of the images that are rotated. Boxes are not learnt from these, only points that rotate with them."""

    flip: float = pydantic.Field(0.5, ge=0, le=1)
    """Part of the images that are mirrored. 0 where left and right mean something, as in text."""

    brightness: float = pydantic.Field(0.4, ge=0, le=1)
    """Colours are multiplied by a random factor, at most this much more or less than 1."""

    contrast: float = pydantic.Field(0.4, ge=0, le=1)
    """Likewise their difference from the mean grey of the image."""

    saturation: float = pydantic.Field(0.4, ge=0, le=1)
    """Likewise their difference from the grey of their pixel."""

    lighting: float = pydantic.Field(0.1, ge=0)
    """Standard deviation of noise along the principal components of ImageNet's colours."""

    geometry: Geometry = "window"
    """What is done to the image. window chooses a part of it as CenterNet does; fitted fits the whole image in and then
    turns, scales, shears and moves it as FairMOT does; stretched mirrors, crops and stretches it into the input as MOC
    does, for which only flip, crop and expand count.
    """

    shear: float = pydantic.Field(0.0, ge=0, le=45)
    """Largest shear along each axis in degrees, where geometry is fitted."""

    scales: tuple[pydantic.PositiveFloat, pydantic.PositiveFloat] = (0.5, 1.2)
    """Smallest and largest factor, where geometry is fitted."""

    hsv_saturation: float = pydantic.Field(0.0, ge=0, le=1)
    """The saturation in HSV is multiplied by a random factor, at most this much more or less than 1. FairMOT: 0.5."""

    hsv_value: float = pydantic.Field(0.0, ge=0, le=1)
    """Likewise the value. FairMOT: 0.5."""

    expand: float = pydantic.Field(4.0, ge=1, le=16)
    """How many times as high and wide as the image a canvas may be, where geometry is stretched."""

    expand_probability: float = pydantic.Field(0.5, ge=0, le=1)
    """Part of the images that are put onto such a canvas."""

    expand_place: Place = "corner"
    """Where on it: in its right bottom corner, as the original does, or at random."""

    distort_probability: float = pydantic.Field(0.0, ge=0, le=1)
    """Part of the images that get each of SSD's changes: brightness, contrast, saturation, hue. MOC: 0.5."""

    distort_brightness: float = pydantic.Field(32.0, ge=0, le=255)
    """The most that is added to or taken from pixels, of 255."""

    distort_factors: tuple[pydantic.NonNegativeFloat, pydantic.NonNegativeFloat] = (0.5, 1.5)
    """Smallest and largest factor of contrast and of saturation."""

    distort_hue: float = pydantic.Field(18.0, ge=0, le=180)
    """The most that the hue turns, in degrees."""

    mosaic: float = pydantic.Field(0.0, ge=0, le=1)
    """Part of the inputs that show four images around a random point (YOLOv4): 0.5 is a start where images are few."""

    mixup: float = pydantic.Field(0.0, ge=0, le=1)
    """Part of the inputs that show two images blended, with the objects of both: 0.2 is a start."""

    copy_paste: float = pydantic.Field(0.0, ge=0, le=1)
    """Part of the inputs with some objects of another image pasted in, cut out by their outlines where the records have
    these, else by their boxes: 0.3 is a start.
    """

    erase: float = pydantic.Field(0.0, ge=0, le=1)
    """Part of the inputs that lose a rectangle to noise."""

    erase_area: tuple[pydantic.PositiveFloat, pydantic.PositiveFloat] = (0.02, 0.2)
    """Smallest and largest part of the input that this rectangle covers."""

    multi_scale: float = pydantic.Field(0.0, ge=0, lt=1)
    """Sizes of the input change from batch to batch by up to this part of data.size, smaller and larger: 0.25."""

    close_last: int = pydantic.Field(0, ge=0)
    """Epochs at the end without mosaic, mixup, copy_paste, erase and multi_scale, so that training ends with images as
    they are.
    """

    @pydantic.field_validator("crop_scales")
    @classmethod
    def _in_steps(cls, value: tuple[float, float]) -> tuple[float, float]:
        tenths = [10 * scale for scale in value]
        if value[0] > value[1] or any(abs(tenth - round(tenth)) > 1e-6 or tenth < 1 for tenth in tenths):
            raise ValueError(f"{value} is no smallest and largest of scales in steps of 0.1, such as [0.6, 1.3]")
        return value
