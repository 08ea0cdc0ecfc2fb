"""Masks by convolutions whose weights each centre tells (CondInst, Tian et al., 2020, on CenterNet's points).

Three 1x1 convolutions of 8, 8 and 1 channels, with ReLU between, read 8 features of the image and how far a cell is
from the object's own. Nothing keeps such a mask within its box.
"""

from collections.abc import Mapping
from typing import Any

from keras import ops

from centernet_tf.geometry import patches
from centernet_tf.losses import batch_sum, gather_cells
from centernet_tf.points.centers import STRIDE
from centernet_tf.tasks.mask.sampling import Sides, sample_all
from centernet_tf.tasks.mask.targets import masked, paste

FEATURES = 8  # of the image, and of each layer but the last
PLACES = FEATURES + 2  # inputs of the first layer: features, x, y
WEIGHTS = FEATURES * PLACES + FEATURES * FEATURES + FEATURES + 2 * FEATURES + 1  # 169
REACH = 128.0  # cells that count as 1
LEAST = 1e-5  # of the squares that dice divides by


def layers(vectors: Any) -> tuple[tuple[Any, Any], ...]:
    """Kernels and biases of the three layers.

    Args:
        vectors: [B, N, 169]: kernels [8, 10], [8, 8] and [1, 8], output by output, then biases [8], [8] and [1].

    Returns:
        (kernel [B, N, outputs, inputs], bias [B, N, outputs, 1]) of each.
    """
    batch, count, _ = ops.shape(vectors)
    shapes = ((FEATURES, PLACES), (FEATURES, FEATURES), (1, FEATURES), (FEATURES, 1), (FEATURES, 1), (1, 1))
    parts, begin = [], 0
    for outputs, inputs in shapes:
        end = begin + outputs * inputs
        parts.append(ops.reshape(vectors[..., begin:end], (batch, count, outputs, inputs)))
        begin = end
    return tuple(zip(parts[:3], parts[3:]))


def apply(vectors: Any, features: Any, x: Any, y: Any) -> Any:
    """Logits of masks on grids.

    Args:
        vectors: [B, N, 169] float32 weights.
        features: [B, N or 1, 8, rows x columns] float32 at the places of a grid.
        x: [B, N, columns] of the grid in cells, from the cell of each object.
        y: [B, N, rows] likewise.

    Returns:
        [B, N, rows, columns].
    """
    batch, count, columns = ops.shape(x)
    rows = ops.shape(y)[2]
    (first, bias), *others = layers(vectors)
    # What a place adds is told by column and by row, so that no map of it is needed.
    across = first[..., FEATURES, None] * (x / REACH)[..., None, :] + bias
    down = first[..., FEATURES + 1, None] * (y / REACH)[..., None, :]
    values = ops.matmul(first[..., :FEATURES], features)
    values = ops.reshape(values, (batch, count, FEATURES, rows, columns)) + across[..., None, :] + down[..., None]
    values = ops.reshape(values, (batch, count, FEATURES, rows * columns))
    for kernel, bias in others:
        values = ops.matmul(kernel, ops.relu(values)) + bias
    return ops.reshape(values, (batch, count, rows, columns))


def encode(rows: Mapping[str, Any], centers: Mapping[str, Any]) -> dict[str, Any]:
    """The target of `dice`: masks on the whole output grid.

    Args:
        rows: As `targets.encode` takes them.
        centers: What `Centers.locate` returned.
    """
    boxes = ops.cast(rows["boxes"], "float32") / STRIDE
    return {
        "index": centers["index"],
        "cell": centers["cell"],
        "mask": ops.cast(masked(rows) & centers["boxed"], "float32"),
        "value": paste(rows["masks"], boxes, centers["grid"]),
    }


def dice(features: Any, weights: Any, target: Mapping[str, Any]) -> Any:
    """Dice loss on the whole grid (V-Net, Milletari et al., 2016: squares below), mean over objects with a mask.

    Args:
        features: [B, h, w, 8].
        weights: [B, h, w, 169], or what `losses.gather_cells` takes instead.
        target: "index" [B, N] int32 cells, "cell" [B, N, 2] the same as (x, y), "mask" [B, N] of 0 and 1, "value"
            [B, N, h, w] in 0..1.

    Returns:
        Scalar; exactly 0, without gradient, where no object has a mask.
    """
    batch, height, width, _ = ops.shape(features)
    vectors = ops.cast(gather_cells(weights, target["index"]), "float32")
    values = ops.reshape(ops.cast(features, "float32"), (batch, height * width, FEATURES))
    values = ops.transpose(values, (0, 2, 1))[:, None]
    x = ops.arange(width, dtype="float32") - target["cell"][..., 0, None]
    y = ops.arange(height, dtype="float32") - target["cell"][..., 1, None]
    found, wanted = ops.sigmoid(apply(vectors, values, x, y)), target["value"]
    common = ops.sum(found * wanted, axis=(2, 3))
    squares = ops.sum(found * found, axis=(2, 3)) + ops.sum(wanted * wanted, axis=(2, 3))
    errors, known = 1 - 2 * common / (squares + LEAST), target["mask"]
    return batch_sum(ops.where(known > 0, errors, 0.0)) / ops.maximum(batch_sum(known), 1.0)


def decode(outputs: Mapping[str, Any], peaks: Mapping[str, Any], boxes: Any, sides: Sides, margin: float) -> Any:
    """Masks of the peaks, each at equal steps over its widened box; features between cells are interpolated linearly.

    Args:
        outputs: "seg_feat" [B, h, w, 8]; "conv_weight" [B, h, w, 169], or what `losses.gather_cells` takes instead.
        peaks: What `Centers.peaks` returned.
        boxes: [B, K, 4] left, top, right, bottom in cells.
        sides: Rows and columns of a mask.
        margin: What is added to a box on every side, of its width and height.

    Returns:
        "masks" [B, K, rows, columns] float32 in 0..1.
    """
    frames = patches.widened(boxes, margin)
    vectors = ops.cast(gather_cells(outputs["conv_weight"], peaks["index"]), "float32")
    features = ops.transpose(sample_all(outputs["seg_feat"], frames, sides), (0, 1, 3, 2))
    x = patches.places(frames[..., 0], frames[..., 2], sides[1]) - peaks["cell"][..., 0, None]
    y = patches.places(frames[..., 1], frames[..., 3], sides[0]) - peaks["cell"][..., 1, None]
    return {"masks": ops.sigmoid(apply(vectors, features, x, y))}
