"""Objects of two frames as targets: where each was in the frame before (official code, `GenericDataset`)."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from keras import ops

from centernet_tf.points.centers import STRIDE
from centernet_tf.points.videos import PRESENT
from centernet_tf.properties.property import Rows
from centernet_tf.tasks.track.prior import DRAWS, NEARBY, clipped


@dataclasses.dataclass(frozen=True)
class Noise:
    """How much worse than the truth the prior heatmap is in training; the defaults are the original's for MOT.

    Attributes:
        shift: Standard deviation of an object's place, of its sides.
        missing: Part of the objects that are not drawn.
        doubled: Part of those drawn that have a double close by.
    """

    shift: float = 0.05
    missing: float = 0.4
    doubled: float = 0.1


def join(present: Rows, before: Rows, size: tuple[int, int], noise: Noise, draws: np.ndarray) -> tuple[Rows, Rows]:
    """Finds the objects of a frame in the one before, on the host.

    Args:
        present: Rows of this frame, moved to pixels of the network's input: "boxes", "track_ids" [N], -1 unknown, ...
        before: Rows of the frame before, moved by its own matrix; `videos.PRESENT` among them where it may be this one.
        size: Height and width of the network's input.
        noise: Of the prior heatmap.
        draws: [M, 6] of the M objects before, for those that `drawn_rows` keeps: shift x, y (standard normal), missing,
            doubled (0 to 1), and shift x, y of the double.

    Returns:
        The present rows with "before" [N, 2] pixels of the input, the middle of each object's box in the frame before,
        and "known" [N] bool, whether it was there; and the rows of `prior.draw`.
    """
    kept = drawn_rows(before, size)
    boxes = before["boxes"][kept]
    inside = clipped(boxes, size)
    sides = inside[:, 2:] - inside[:, :2]
    shift, double = draws[:, :2] * noise.shift * sides, draws[:, 4:] * NEARBY * sides
    seen, doubled = draws[:, 2] > noise.missing, draws[:, 3] < noise.doubled
    # Who is missing keeps its target, at the place it would have been drawn at.
    middle = (inside[:, :2] + inside[:, 2:]) / 2 + np.where(seen[:, None], 0.0, shift)
    ids = before["track_ids"][kept]
    places = {int(number): row for row, number in reversed(list(enumerate(ids))) if number >= 0}  # the first counts
    rows = np.array([places.get(int(number), -1) for number in present["track_ids"]], int)
    if PRESENT in before:
        # The same image once more: whose identity nobody knows is itself (original: the number of the annotation).
        own = {int(row): place for place, row in enumerate(before[PRESENT][kept]) if row >= 0}
        itself = np.array([own.get(row, -1) for row in range(len(rows))], int)
        rows = np.where(present["track_ids"] < 0, itself, rows)
    known = rows >= 0
    where = np.append(middle, [[0, 0]], axis=0)[rows].astype(np.float32)
    drawn = {
        "boxes": boxes,
        "shifts": np.stack([shift, double], axis=1).astype(np.float32),
        "drawn": np.stack([seen, seen & doubled], axis=1),
    }
    return {**present, "before": np.where(known[:, None], where, 0), "known": known}, drawn


def drawn_rows(before: Rows, size: tuple[int, int]) -> np.ndarray:
    """Rows of the frame before that reach the prior heatmap: no crowds, and with an area inside the input."""
    boxes = clipped(before["boxes"], size)
    return np.flatnonzero(~before["crowd"] & (boxes[:, 2:] > boxes[:, :2]).all(axis=1))


def draw_lots(random: np.random.Generator, count: int) -> np.ndarray:
    """[count, 6] as `join` takes them."""
    lots = random.standard_normal((count, DRAWS))
    lots[:, 2:4] = random.random((count, 2))
    return lots


def no_lots(count: int) -> np.ndarray:
    """[count, 6] that move, hide and double nothing."""
    lots = np.zeros((count, DRAWS))
    lots[:, 2:4] = 1 + 1e-9  # above any probability
    return lots


def encode(rows: Mapping[str, Any], centers: Mapping[str, Any]) -> dict[str, Any]:
    """Targets of the displacement and of the amodal box.

    Args:
        rows: "boxes" [B, N, 4] in pixels of the network's input, over its edge too; "before" and "known" of `join`.
        centers: What `Centers.locate` returned.

    Returns:
        "displacement": [B, N, 2] cells from the cell of an object to the middle of its box in the frame before; and
        "amodal_box": [B, N, 4] cells from there to its left, top, right and bottom, beyond the grid where they are.
    """
    cell, mask = centers["cell"], ops.cast(centers["boxed"], "float32")[..., None]
    known = mask * ops.cast(rows["known"], "float32")[..., None]
    way = ops.cast(rows["before"], "float32") / STRIDE - cell
    sides = ops.cast(rows["boxes"], "float32") / STRIDE - ops.concatenate([cell, cell], axis=-1)
    return {
        "displacement": {"index": centers["index"], "mask": known, "value": way * known},
        "amodal_box": {"index": centers["index"], "mask": mask, "value": sides * mask},
    }
