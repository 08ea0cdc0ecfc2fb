"""Images of any size in windows of one size, so that memory follows the window.

An image at its own resolution is padded as for one pass over all of it, and windows are cut from that. Each is
searched where it is sure of its answer, its core; the cores lie side by side and cover the image. A window finds in
its core exactly what one pass finds there, because

- windows start at multiples of the network's stride, so that its cells fall on the same pixels;
- a core is as far from the window's inner sides as the network looks (`field.receptive_field`), and one cell more,
  for a peak is larger than its neighbours;
- at the outer sides of the padded image the window ends where it ends, so the network pads with the same zeros;
- a peak belongs to the core that its cell lies in, so nothing is found twice and nothing needs suppression.

Points of an object are found as in one pass where they lie in the core or near it; of an object that reaches beyond the
halo, those further out have no sure peak in the window and may stay where the object's centre puts them. Maps that are
read over all of an object's box end with the window likewise: beyond it counts what its edge says.

Layers that average over all they see (squeeze and excite) or that sample wherever they learned to (deformable
convolutions) have no such bound; with them tiles only come near.
"""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from keras import ops

from centernet_tf.errors import UsageError
from centernet_tf.geometry import affine
from centernet_tf.points.centers import STRIDE

FAR = -1e9  # Logit of a score of exactly 0.


@dataclasses.dataclass(frozen=True)
class Tile:
    """One window, in pixels of the padded image.

    Attributes:
        top: First row of the window.
        left: First column of the window.
        core: (left, top, right, bottom) that it answers for, exclusive at the right and at the bottom.
    """

    top: int
    left: int
    core: tuple[int, int, int, int]

    @property
    def cells(self) -> np.ndarray:
        """The core in cells of the window, [4] int32."""
        left, top, right, bottom = self.core
        edges = (left - self.left, top - self.top, right - self.left, bottom - self.top)
        return np.array(edges, np.int32) // STRIDE


def window_side(length: int, tile: int, halo: int, stride: int) -> int:
    """Side of the windows along a padded side of the image: the tile's, or the image's where that is shorter.

    Raises:
        UsageError: Nothing would be left of a tile between its halos.
    """
    side = min(length, tile // stride * stride)
    if side < length and side <= 2 * halo:
        least = 2 * halo + stride
        raise UsageError(
            f"tile {tile}: the network looks {halo} pixels around each cell, so tiles start at {least}. Try "
            f"{max(2 * least // stride * stride, least)}, for most of a small tile is margin, or a smaller halo, whose "
            "results are only nearly those of one pass."
        )
    return side


def plan_tiles(size: tuple[int, int], tile: tuple[int, int], halo: int, stride: int) -> tuple[tuple[int, int], list]:
    """Lays windows over a padded image.

    Args:
        size: Height and width of the padded image, multiples of the stride.
        tile: Largest height and width of a window in pixels.
        halo: Pixels between a core and the inner sides of its window, a multiple of the stride.
        stride: The network's.

    Returns:
        Height and width of all windows, and the `Tile`s, whose cores cover the image without overlap.

    Raises:
        UsageError: As `window_side`.
    """
    sides = tuple(window_side(length, wanted, halo, stride) for length, wanted in zip(size, tile))
    rows, columns = (list(_spans(length, side, halo)) for length, side in zip(size, sides))
    return sides, [
        Tile(top, left, (start, first, stop, last))
        for (top, first, last), (left, start, stop) in itertools.product(rows, columns)
    ]


def _spans(length: int, side: int, halo: int) -> Iterator[tuple[int, int, int]]:
    """(window's start, core's start, core's end) along one side; the first and last cores reach the image's end."""
    start, core = 0, 0
    while start + side < length:
        end = start + side - halo
        yield start, core, end
        core = end
        start = min(core - halo, length - side)
    yield start, core, length


def cut(image: np.ndarray, tile: Tile, sides: tuple[int, int], shift: tuple[int, int]) -> np.ndarray:
    """The pixels of a window, black outside the image.

    Args:
        image: [H, W, 3] uint8.
        tile: The window.
        sides: Its height and width.
        shift: (x, y) of the image within its padding.
    """
    window = np.zeros((*sides, image.shape[2]), image.dtype)
    top, left = tile.top - shift[1], tile.left - shift[0]
    part = image[max(top, 0) : max(top + sides[0], 0), max(left, 0) : max(left + sides[1], 0)]
    row, column = max(-top, 0), max(-left, 0)
    window[row : row + part.shape[0], column : column + part.shape[1]] = part
    return window


def only_core(heatmap: Any, cells: Any) -> Any:
    """Takes all peaks outside the core away, and leaves those inside that they do not hide.

    Args:
        heatmap: [B, h, w, C] logits.
        cells: [B, 4] int32 left, top, right, bottom of the core, exclusive at the right and at the bottom.

    Returns:
        [B, h, w, C] float32 logits, `FAR` at every cell that is no peak of the core.
    """
    heatmap = ops.cast(heatmap, "float32")
    scores = ops.sigmoid(heatmap)  # Different logits may have equal scores, which are what peaks are told by.
    _, height, width, _ = ops.shape(heatmap)
    column, row = ops.arange(width, dtype="int32")[None, None, :], ops.arange(height, dtype="int32")[None, :, None]
    left, top, right, bottom = (cells[:, side, None, None] for side in range(4))
    inside = (column >= left) & (column < right) & (row >= top) & (row < bottom)
    peak = scores >= ops.max_pool(scores, 3, strides=1, padding="same")
    return ops.where(ops.logical_and(inside[..., None], peak), heatmap, FAR)


def cut_all(image: np.ndarray, tile: tuple[int, int], halo: int, stride: int) -> Iterator[dict[str, np.ndarray]]:
    """All windows of an image, one at a time, as `detector.WindowGraph` takes them.

    Args:
        image: [H, W, 3] uint8.
        tile: As `plan_tiles` takes it, like halo and stride.

    Yields:
        "images" [1, h, w, 3] uint8; "cores" [1, 4] int32 cells; "corners" [1, 2] float32 (x, y) of the window in pixels
        of the image.

    Raises:
        UsageError: As `window_side`.
    """
    height, width = image.shape[:2]
    size = affine.kept_size(height, width, stride)
    _, *shift = affine.kept_fit(height, width, stride)
    sides, tiles = plan_tiles(size, tile, halo, stride)
    for one in tiles:
        corner = np.array([[one.left - shift[0], one.top - shift[1]]], np.float32)
        yield {"images": cut(image, one, sides, shift)[None], "cores": one.cells[None], "corners": corner}


class Mosaic:
    """Joins what windows show of one image, each in its core; for looking.

    Args:
        image: [H, W, 3] uint8.
        stride: As `plan_tiles` takes it.

    Attributes:
        seen: [h, w, 3] float32 in 0..1, the padded image.
        heatmap: [h/4, w/4, C] float32, once a window is added.
    """

    def __init__(self, image: np.ndarray, stride: int):
        height, width = image.shape[:2]
        _, *shift = affine.kept_fit(height, width, stride)
        self._shift = np.array(shift)
        left, top = shift
        self.seen = np.zeros((*affine.kept_size(height, width, stride), 3), np.float32)
        self.seen[top : top + height, left : left + width] = image / np.float32(255)
        self.heatmap: np.ndarray | None = None

    def add(self, window: Mapping[str, np.ndarray], heatmap: np.ndarray) -> None:
        """Takes in a window of `cut_all` and its heatmap [1, h, w, C]."""
        if self.heatmap is None:
            height, width = self.seen.shape[:2]
            self.heatmap = np.zeros((height // STRIDE, width // STRIDE, heatmap.shape[-1]), np.float32)
        left, top, right, bottom = window["cores"][0]
        column, row = (window["corners"][0].astype(int) + self._shift) // STRIDE
        self.heatmap[row + top : row + bottom, column + left : column + right] = heatmap[0, top:bottom, left:right]


def best_of(parts: Iterable[Mapping[str, np.ndarray]], count: int) -> dict[str, np.ndarray]:
    """The best `count` rows of what was found in all windows.

    Args:
        parts: {field: [1, K, ...]} of each window, in pixels of the image.
        count: Rows to keep.

    Returns:
        {field: [1, count, ...]}, best score first.
    """
    best: dict[str, np.ndarray] = {}
    for part in parts:
        both = {name: np.concatenate([best[name], value], axis=1) for name, value in part.items()} if best else part
        order = np.argsort(-both["scores"][0], kind="stable")[:count]
        best = {name: value[:, order] for name, value in both.items()}
    return best
