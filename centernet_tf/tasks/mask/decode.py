"""Maps to masks: the shape at each peak, resized to its box, times the saliency there (CenterMask, section 3)."""

from collections.abc import Mapping
from typing import Any

from keras import ops

from centernet_tf.losses import gather_cells
from centernet_tf.tasks.mask.sampling import Sides, resize, sample


def decode(outputs: Mapping[str, Any], peaks: Mapping[str, Any], boxes: Any, sides: Sides) -> dict[str, Any]:
    """Masks of the peaks, each at equal steps over its box.

    What of a box lies beyond the map has the saliency of the map's edge: an image ends there, and nobody looks; or a
    tile does, and the shape knows more than nothing.

    Args:
        outputs: "shape" [B, h, w, S S] logits, rows of columns, or what `losses.gather_cells` takes instead;
            "saliency" [B, h, w, C] logits, of all objects or of each class.
        peaks: What `Centers.peaks` returned.
        boxes: [B, K, 4] left, top, right, bottom in cells.
        sides: Rows and columns of a mask.

    Returns:
        "masks" [B, K, rows, columns] float32 in 0..1.
    """
    vectors = ops.cast(gather_cells(outputs["shape"], peaks["index"]), "float32")
    batch, count, depth = ops.shape(vectors)
    side = round(depth**0.5)
    own = resize(ops.reshape(vectors, (batch, count, side, side)), sides)
    classes = peaks["classes"]
    channels = classes if outputs["saliency"].shape[-1] > 1 else ops.zeros_like(classes)
    return {"masks": ops.sigmoid(own) * ops.sigmoid(sample(outputs["saliency"], channels, boxes, sides))}
