"""COCO's run lengths: which pixels of an image belong to an object, column by column, beginning with those that do not.

Runs are counted in arrays [R] int64 and written as bytes, COCO's compressed counts: differences to the run before the
last, five bits in a character. Nothing here makes an array of the whole image, so that thousands of objects of one
large image take no more memory than one. Sizes are width, height; pixel i of an image stands at coordinate i.
"""

from typing import Any

import numpy as np

from centernet_tf.geometry import patches
from centernet_tf.properties.property import Size

_FIRST = 48  # the character that stands for 0
_MOST_CHARACTERS = 7  # of one number; six hold any run of an image that fits into memory


def read_counts(data: bytes) -> np.ndarray:
    """Compressed counts to runs [R].

    Raises:
        ValueError: They are not text of this kind, or break off.
    """
    digits = np.frombuffer(data, np.uint8).astype(np.int64) - _FIRST
    if not len(digits):
        raise ValueError("they are empty")
    if digits.min() < 0 or digits.max() > 63:
        odd = int(((digits < 0) | (digits > 63)).argmax())
        raise ValueError(f"character {odd + 1} of {len(data)} is {data[odd : odd + 1]!r}, which no count has")
    last = digits & 32 == 0
    if not last[-1]:
        raise ValueError(f"they break off behind character {len(data)}")
    ends = np.flatnonzero(last)
    starts = np.concatenate([[0], ends[:-1] + 1])
    places = np.arange(len(digits)) - np.repeat(starts, ends - starts + 1)
    if places.max() >= _MOST_CHARACTERS:
        raise ValueError(f"a count has more than {_MOST_CHARACTERS} characters")
    values = np.add.reduceat((digits & 31) << 5 * places, starts)
    values -= np.where(digits[ends] & 16, 1 << 5 * (places[ends] + 1), 0)
    counts = values.copy()
    counts[1::2], counts[2::2] = np.cumsum(values[1::2]), np.cumsum(values[2::2])
    return counts


def write_counts(counts: np.ndarray) -> bytes:
    """Runs [R] to compressed counts, character by character as pycocotools writes them."""
    values = np.array(counts, np.int64)
    values[3:] -= counts[1:-2]
    characters = np.zeros((len(values), _MOST_CHARACTERS), np.uint8)
    used = np.zeros(characters.shape, bool)
    more = np.ones(len(values), bool)
    for place in range(_MOST_CHARACTERS):
        used[:, place] = more
        digit = values & 31
        values >>= 5
        more &= values != np.where(digit & 16, -1, 0)
        characters[:, place] = _FIRST + digit + 32 * more
    return characters[used].tobytes()


def fault(counts: np.ndarray, size: Size) -> str:
    """What keeps runs from being those of an image of this size, for people; "" for nothing."""
    if len(counts) and counts.min() < 0:
        return f"run {int(counts.argmin()) + 1} of {len(counts)} is {counts.min()}; runs are never negative"
    if counts.sum() != size[0] * size[1]:
        return f"runs add up to {counts.sum()}; expected {size[0] * size[1]}, as the image has {size[0]} x {size[1]}"
    return ""


def of_pixels(mask: np.ndarray, size: Size, corner: tuple[int, int] = (0, 0)) -> np.ndarray:
    """The runs of an object's pixels.

    Args:
        mask: [h, w] bool, a part of the image beyond which the object has none.
        size: Width and height of the image in pixels.
        corner: x, y of the part's first pixel.

    Returns:
        [R] int64; the last is 0 of no object.
    """
    height, width = mask.shape
    # A column of nothing before and a row of nothing behind keep runs of neighbouring columns apart.
    columns = np.zeros((width + 1, height + 1), np.int8)
    columns[1:, :height] = mask.T
    edges = np.flatnonzero(np.diff(columns.ravel())) + 1 - (height + 1)
    places = (corner[0] + edges // (height + 1)) * size[1] + corner[1] + edges % (height + 1)
    return _of_edges(places, size)


def _of_edges(places: np.ndarray, size: Size) -> np.ndarray:
    """Runs between places [2 M] where pixels of the object begin and end in turn."""
    inner = np.flatnonzero(places[1:-1:2] == places[2::2]) * 2 + 1  # a run that goes on in the next column
    places = np.delete(places, [*inner, *(inner + 1)])
    counts = np.diff(places, prepend=0, append=size[0] * size[1])
    return counts[:-1] if len(counts) > 1 and counts[-1] == 0 else counts


def area(counts: np.ndarray) -> int:
    """Pixels of the object."""
    return int(counts[1::2].sum())


def bounds(counts: np.ndarray, height: int) -> tuple[int, int, int, int]:
    """left, top, right, bottom of the object's pixels, right and bottom one beyond the last; 0, 0, 0, 0 of none."""
    ends = np.cumsum(counts)
    starts, lasts = ends[0::2][: len(counts) // 2], ends[1::2] - 1
    full = lasts >= starts
    if not full.any():
        return 0, 0, 0, 0
    starts, lasts = starts[full], lasts[full]
    left, right = int(starts[0] // height), int(lasts[-1] // height) + 1
    if (starts // height != lasts // height).any():
        # A run over the end of a column has that column's last pixel and the first of the next.
        return left, 0, right, height
    return left, int((starts % height).min()), right, int((lasts % height).max()) + 1


def pixels(counts: np.ndarray, size: Size, part: tuple[int, int, int, int] | None = None) -> np.ndarray:
    """The object's pixels in a part of the image.

    Args:
        counts: [R] that fit the size, see `fault`.
        size: Width and height of the image in pixels.
        part: left, top, right, bottom in pixels, inside the image; all of it by default.

    Returns:
        [bottom - top, right - left] bool.
    """
    left, top, right, bottom = part or (0, 0, *size)
    height = size[1]
    ends = np.clip(np.cumsum(counts) - left * height, 0, (right - left) * height)
    inside = np.repeat(np.arange(len(counts)) % 2 == 1, np.diff(ends, prepend=0))
    return inside.reshape(right - left, height)[:, top:bottom].T


def values_at(counts: np.ndarray, size: Size, columns: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Whether single pixels are the object's.

    Args:
        counts: [R] that fit the size, see `fault`.
        size: Width and height of the image in pixels.
        columns: [W] int, x of the pixels; some may lie outside the image.
        rows: [H] int, y of them.

    Returns:
        [H, W] bool, False outside the image.
    """
    width, height = size
    places = columns * height + rows[:, None]
    inside = (columns >= 0) & (columns < width) & ((rows >= 0) & (rows < height))[:, None]
    number = np.searchsorted(np.cumsum(counts), places.ravel(), side="right").reshape(places.shape)
    return (number % 2 == 1) & inside


def patch(counts: np.ndarray, size: Size, box: np.ndarray, side: int) -> np.ndarray:
    """The object in the frame of its box, see `geometry.patches`.

    The value of each place is interpolated linearly between the four pixels around it, and the place is the object's
    where it is above a half: were half itself enough, masks of boxes of S pixels would grow by a pixel all around.

    Args:
        counts: [R] that fit the size, see `fault`.
        size: Width and height of the image in pixels.
        box: [4] left, top, right, bottom in pixels, also beyond the image, where nothing is known: there is no object.
        side: Rows and columns of the patch, S.

    Returns:
        [S, S] bool.
    """
    box = np.asarray(box, np.float32)
    (columns, right), (rows, below) = (_split(box[axis], box[axis + 2], side) for axis in (0, 1))
    near = values_at(counts, size, np.concatenate([columns, columns + 1]), np.concatenate([rows, rows + 1]))
    across = near[:, :side] * (1 - right) + near[:, side:] * right
    return across[:side] * (1 - below)[:, None] + across[side:] * below[:, None] > 0.5


def _split(low: Any, high: Any, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixels [S] before the places of a patch along one axis, and how far behind them [S] the places lie."""
    places = patches.places(low, high, side).astype(np.float64)
    whole = np.floor(places)
    return whole.astype(np.int64), places - whole
