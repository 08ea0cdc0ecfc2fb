"""Settings of validation while training: the section `evaluate` of a run's YAML."""

import pydantic

from centernet_tf.points.task import Section


class EvaluateSettings(Section):
    """How the validation set is scored while training."""

    every: pydantic.PositiveInt = 5
    """Epochs from one scoring to the next; the last epoch is always scored."""

    batch_size: pydantic.PositiveInt = 8
    """Images that are scored at a time."""

    images: int = pydantic.Field(4, ge=0)
    """How many validation images TensorBoard shows with what was found in them."""
