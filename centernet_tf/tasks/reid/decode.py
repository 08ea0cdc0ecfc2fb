"""Maps to objects that can be recognised: boxes as ever, and what each looks like (official code, `MotTracker`)."""

from collections.abc import Mapping
from typing import Any

from centernet_tf.losses import gather_cells
from centernet_tf.tasks.reid.losses import unit


def decode(outputs: Mapping[str, Any], peaks: Mapping[str, Any]) -> dict[str, Any]:
    """Embeddings at the peaks.

    Args:
        outputs: "embedding" [B, h, w, D], or what `losses.gather_cells` takes instead.
        peaks: What `Centers.peaks` returned.

    Returns:
        "embeddings" [B, K, D] float32 of length 1.
    """
    return {"embeddings": unit(gather_cells(outputs["embedding"], peaks["index"]))}
