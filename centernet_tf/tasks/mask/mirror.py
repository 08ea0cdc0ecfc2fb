"""What a mirror image does to shapes: their columns come in the other order."""

import dataclasses
from typing import Any

import numpy as np
from keras import ops


@dataclasses.dataclass(frozen=True)
class MirrorShape:
    """A `Head.mirror` of [..., S S], rows of columns.

    Attributes:
        side: S.
    """

    side: int

    def __call__(self, values: Any) -> Any:
        order = np.arange(self.side**2, dtype=np.int32).reshape(self.side, self.side)[:, ::-1].reshape(-1)
        return ops.take(values, order, axis=-1)
