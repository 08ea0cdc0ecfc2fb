"""Settings of augmentation: the section `augment` of a run's YAML."""

import pydantic

from centernet_tf.data.augment import Geometry
from centernet_tf.data.stretched import Place
from centernet_tf.points.task import Section


class AugmentSettings(Section):
    """Random changes of training images; the defaults are the original's."""

    crop: bool = True
    crop_scales: tuple[pydantic.PositiveFloat, pydantic.PositiveFloat] = (0.6, 1.3)
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
    geometry: Geometry = "window"
    shear: float = pydantic.Field(0.0, ge=0, le=45)
    scales: tuple[pydantic.PositiveFloat, pydantic.PositiveFloat] = (0.5, 1.2)
    hsv_saturation: float = pydantic.Field(0.0, ge=0, le=1)
    hsv_value: float = pydantic.Field(0.0, ge=0, le=1)
    expand: float = pydantic.Field(4.0, ge=1, le=16)
    expand_probability: float = pydantic.Field(0.5, ge=0, le=1)
    expand_place: Place = "corner"
    distort_probability: float = pydantic.Field(0.0, ge=0, le=1)
    distort_brightness: float = pydantic.Field(32.0, ge=0, le=255)
    distort_factors: tuple[pydantic.NonNegativeFloat, pydantic.NonNegativeFloat] = (0.5, 1.5)
    distort_hue: float = pydantic.Field(18.0, ge=0, le=180)
    mosaic: float = pydantic.Field(0.0, ge=0, le=1)
    mixup: float = pydantic.Field(0.0, ge=0, le=1)
    copy_paste: float = pydantic.Field(0.0, ge=0, le=1)
    erase: float = pydantic.Field(0.0, ge=0, le=1)
    erase_area: tuple[pydantic.PositiveFloat, pydantic.PositiveFloat] = (0.02, 0.2)
    multi_scale: float = pydantic.Field(0.0, ge=0, lt=1)
    close_last: int = pydantic.Field(0, ge=0)

    @pydantic.field_validator("crop_scales")
    @classmethod
    def _in_steps(cls, value: tuple[float, float]) -> tuple[float, float]:
        tenths = [10 * scale for scale in value]
        if value[0] > value[1] or any(abs(tenth - round(tenth)) > 1e-6 or tenth < 1 for tenth in tenths):
            raise ValueError(f"{value} is no smallest and largest of scales in steps of 0.1, such as [0.6, 1.3]")
        return value
