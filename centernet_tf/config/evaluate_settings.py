"""Settings of validation while training: the section `evaluate` of a run's YAML."""

import pydantic

from centernet_tf.points.task import Section


class EvaluateSettings(Section):
    """Average precision on the validation set while training."""

    every: pydantic.PositiveInt = 5
    batch_size: pydantic.PositiveInt = 8
    images: int = pydantic.Field(4, ge=0)
