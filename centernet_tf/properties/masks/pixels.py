"""Masks at the pixels of their image: patches of probability to exact masks, and those to COCO's run lengths and back.

One object after the other, and of each only the rectangle that it may cover, so that thousands of masks of a large
image need the memory of one. COCO's run lengths count pixels down the columns, one column after the other: those before
the mask, then those of it, and so on in turn. Compressed, each count is the difference from the one two before, five
bits in a letter (pycocotools' maskApi.c).
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from pycocotools import mask as coco

from centernet_tf.geometry.patches import widened
from centernet_tf.properties.property import Size

# Pixels that one step of the interpolation makes: 4 MB of each array.
STRIP = 1 << 20
# How far beyond its box a pixel may stand, in pixels: where a side falls on a pixel, rounding must not decide.
EDGE = 1e-3


class Region(NamedTuple):
    """The rectangle of an image that holds all of a mask.

    Attributes:
        left: Its first column.
        top: Its first row.
        pixels: [h, w] bool, whether they belong to the object; [0, 0] where nothing can.
    """

    left: int
    top: int
    pixels: np.ndarray

    @property
    def part(self) -> tuple[slice, slice]:
        """The rectangle as an index of an image [H, W, ...]."""
        height, width = self.pixels.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)


NOTHING = Region(0, 0, np.zeros((0, 0), bool))


def regions(
    patches: np.ndarray, boxes: np.ndarray, size: Size, threshold: float, margin: float = 0.0
) -> Iterator[Region]:
    """The pixels of found masks, one object after the other.

    Between the values of a patch, probabilities are interpolated linearly; beyond the outermost they stay what they
    are there, and beyond the box they are 0, as `geometry.patches.paste` has it.

    Args:
        patches: [N, S, S] probabilities over the widened boxes, rows of columns.
        boxes: [N, 4] left, top, right, bottom in pixels of the image, where pixel i stands at i.
        size: Width and height of the image.
        threshold: Probability above which a pixel belongs to the object.
        margin: By which fraction of its sides a patch shows more than its box.
    """
    for patch, box in zip(patches, widened(np.asarray(boxes, np.float64).reshape(-1, 4), margin)):
        yield region_of(np.asarray(patch, np.float32), box, size, threshold)


def region_of(patch: np.ndarray, box: np.ndarray, size: Size, threshold: float) -> Region:
    """The pixels of one patch [S, S] over a box [4]; as `regions`."""
    (left, columns), (top, rows) = (
        _places(box[side], box[side + 2], size[side], patch.shape[1 - side]) for side in (0, 1)
    )
    if not len(columns) or not len(rows) or not (patch > threshold).any():
        return NOTHING
    across = _between(patch.T, columns).T  # [S, w]
    pixels = np.empty((len(rows), len(columns)), bool)
    step = max(1, STRIP // len(columns))
    for start in range(0, len(rows), step):
        pixels[start : start + step] = _between(across, rows[start : start + step]) > threshold
    return Region(left, top, pixels)


def _places(low: float, high: float, length: int, count: int) -> tuple[int, np.ndarray]:
    """The first of an image's pixels along a side of a box, and where they all lie among a patch's values, in steps."""
    if not high > low:
        return 0, np.zeros(0)
    first = int(np.ceil(np.clip(low - EDGE, 0, length)))
    last = int(np.floor(np.clip(high + EDGE, -1, length - 1)))
    places = (np.arange(first, last + 1) - low) / (high - low) * count - 0.5
    return first, places.clip(0, count - 1)


def _between(values: np.ndarray, places: np.ndarray) -> np.ndarray:
    """[P, M] linear interpolation of values [S, M] at places [P] of 0 to S - 1."""
    before = np.minimum(places.astype(np.intp), max(len(values) - 2, 0))
    after = np.minimum(before + 1, len(values) - 1)
    share = (places - before).astype(np.float32)[:, None]
    return values[before] * (1 - share) + values[after] * share


def segmentations(
    patches: np.ndarray, boxes: np.ndarray, size: Size, threshold: float, margin: float = 0.0
) -> np.ndarray:
    """[N] objects, bytes: COCO's compressed run lengths of the `regions` of found masks."""
    return as_objects([counts_of(region, size) for region in regions(patches, boxes, size, threshold, margin)])


def as_objects(texts: list[bytes]) -> np.ndarray:
    """[N] array of bytes as they are: NumPy's own type of bytes loses zeros at their end."""
    made = np.empty(len(texts), object)
    made[:] = texts
    return made


def counts_of(region: Region, size: Size) -> bytes:
    """COCO's compressed run lengths of a region of an image (width, height)."""
    width, height = size
    rows, columns = region.pixels.shape
    # With an empty pixel above and below each column, its runs begin and end within it.
    padded = np.zeros((columns, rows + 2), np.int8)
    padded[:, 1:-1] = region.pixels.T
    changes = np.flatnonzero(np.diff(padded.ravel()))
    column, row = np.divmod(changes, rows + 2)
    places = (region.left + column) * height + region.top + row
    starts, ends = places[0::2], places[1::2]
    # Where a mask is as high as the image, a run goes on at the top of the next column.
    joined = np.flatnonzero(starts[1:] == ends[:-1])
    borders = np.zeros(2 * (len(starts) - len(joined)) + 2, np.int64)
    borders[1:-1:2], borders[2:-1:2] = np.delete(starts, joined + 1), np.delete(ends, joined)
    borders[-1] = width * height
    counts = np.diff(borders)
    if len(counts) > 1 and not counts[-1]:
        counts = counts[:-1]
    return coco.frPyObjects({"size": [height, width], "counts": counts.tolist()}, height, width)["counts"]


def runs_of(counts: bytes) -> np.ndarray:
    """[R] int64 run lengths of COCO's compressed ones: pixels that do not belong to the mask, pixels that do, ..."""
    letters = np.frombuffer(counts, np.uint8).astype(np.int64) - ord("0")
    if not len(letters):
        return letters
    goes_on = (letters & 32) > 0
    first = np.flatnonzero(np.concatenate([[True], ~goes_on[:-1]]))
    number = np.cumsum(np.concatenate([[0], ~goes_on[:-1]]))
    shift = 5 * (np.arange(len(letters)) - first[number])
    values = np.add.reduceat((letters & 31) << shift, first)
    last = np.flatnonzero(~goes_on)
    values -= np.where(letters[last] & 16, 1 << (shift[last] + 5), 0)
    # The first three stand for themselves, the others for the difference from the one two before.
    values[1::2], values[2::2] = values[1::2].cumsum(), values[2::2].cumsum()
    return values


def region_from(counts: bytes, size: Size) -> Region:
    """The smallest region with all of a mask.

    Args:
        counts: COCO's compressed run lengths; b"" for no mask.
        size: Width and height of their image.

    Raises:
        ValueError: They are not those of an image of this size.
    """
    width, height = size
    borders = np.concatenate([[0], np.cumsum(runs_of(counts))])
    if counts and borders[-1] != width * height:
        raise ValueError(f"run lengths add up to {borders[-1]} pixels, expected {width} x {height}")
    starts, ends = borders[1:-1:2], borders[2::2]  # of the runs that belong
    kept = ends > starts
    starts, ends = starts[kept], ends[kept]
    if not len(starts):
        return NOTHING
    left, right = starts[0] // height, (ends[-1] - 1) // height + 1
    # Whole columns, which are the mask's own but for rows above and below.
    change = np.zeros((right - left) * height + 1, np.int8)
    change[starts - left * height] = 1
    change[ends - left * height] -= 1
    columns = np.cumsum(change[:-1], dtype=np.int8).view(bool).reshape(right - left, height)
    rows = np.flatnonzero(columns.any(axis=0))
    return Region(int(left), int(rows[0]), columns[:, rows[0] : rows[-1] + 1].T)


def whole(counts: bytes, size: Size) -> np.ndarray:
    """[H, W] bool of a mask's compressed run lengths; as `region_from`."""
    region = region_from(counts, size)
    pixels = np.zeros(size[::-1], bool)
    pixels[region.part] = region.pixels
    return pixels
