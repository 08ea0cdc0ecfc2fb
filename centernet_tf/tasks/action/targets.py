"""Tubelets as targets, and what they cost (official code of MOC, `sampler.py` and `losses.py`)."""

from collections.abc import Mapping
from typing import Any

from keras import ops

from centernet_tf import losses
from centernet_tf.points.centers import STRIDE
from centernet_tf.tasks.action.decode import frames_of, listed, sizes_at


def encode(rows: Mapping[str, Any], centers: Mapping[str, Any]) -> dict[str, Any]:
    """Targets of movement and size.

    Args:
        rows: "tubelets" [B, N, K, 4] left, top, right, bottom in pixels of the network's input.
        centers: What `Centers.locate` made of the boxes of the key frame.

    Returns:
        "movement": [B, N, 2 K] cells from the cell of the key frame to the centre in each frame, the fraction of a cell
        in the key frame itself. "size": [B, N K, 2] cells, each at the centre of its frame, listed as `frames_l1` reads
        them; where that is beyond the grid, at the nearest cell.
    """
    tubelets = ops.cast(rows["tubelets"], "float32") / STRIDE
    batch, count, frames, _ = ops.shape(tubelets)
    middle = (tubelets[..., :2] + tubelets[..., 2:]) / 2
    mask = ops.cast(centers["boxed"], "float32")[..., None]
    ways = ops.reshape(middle - centers["cell"][:, :, None], (batch, count, 2 * frames))
    height, width = centers["grid"]
    cell = ops.cast(ops.floor(middle), "int32")
    x, y = ops.clip(cell[..., 0], 0, width - 1), ops.clip(cell[..., 1], 0, height - 1)
    sides = ops.reshape(tubelets[..., 2:] - tubelets[..., :2], (batch, count * frames, 2))
    each = ops.repeat(mask, frames, axis=1)
    return {
        "movement": {"index": centers["index"], "mask": mask, "value": ways * mask},
        "size": {"index": listed(y * width + x), "mask": each, "value": sides * each},
    }


def frames_l1(values: Any, target: Mapping[str, Any]) -> Any:
    """`losses.masked_l1` of a head per frame, each frame's map at cells of its own.

    Args:
        values: [B, h, w, D K], or what `decode.sizes_at` takes instead.
        target: "index" [B, N K] int32 as `decode.listed` gives them, "mask" [B, N K, 1] and "value" [B, N K, D].

    Returns:
        Scalar: summed error over the number of unmasked coordinates plus 1e-4.
    """
    batch, count, depth = ops.shape(target["value"])
    frames = frames_of(values, depth)
    place = ops.reshape(target["index"], (batch, count // frames, frames)) // frames
    return losses.l1_of(ops.reshape(sizes_at(values, place), (batch, count, depth)), target)
