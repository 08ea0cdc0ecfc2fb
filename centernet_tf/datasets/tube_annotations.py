"""Annotated tubes, as every format of them has it: an object that does one thing, with a box in each of its frames."""

import dataclasses
import operator
from collections.abc import Callable, Sequence

import numpy as np

from centernet_tf.errors import DataError, UsageError

REFUSE, SPLIT = "refuse", "split"
MOST_FRAMES = 1_000_000  # of a video


@dataclasses.dataclass(frozen=True, eq=False)
class AnnotatedTube:
    """One object doing one thing.

    Attributes:
        label: Position in the labels of the file.
        frames: [L] int64, numbers of its frames from 1; any order.
        boxes: [L, 4] float64 left, top, right, bottom, not clipped.
        track: Who it is, the same in all tubes of one individual of a video; None where nobody says.
    """

    label: int
    frames: np.ndarray
    boxes: np.ndarray
    track: int | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class AnnotatedVideo:
    """The tubes of one video.

    Attributes:
        name: Of its folder or file, with slashes between the folders on the way.
        tubes: All of them.
        frames: How many it has; None where nobody says.
        size: Width and height in pixels; None where nobody says.
    """

    name: str
    tubes: tuple[AnnotatedTube, ...]
    frames: int | None = None
    size: tuple[int, int] | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Annotations:
    """What a file says.

    Attributes:
        labels: Names of the actions.
        videos: In any order.
        normalised: Whether boxes are fractions of the image's width and height instead of pixels.
        gaps: What tubes with gaps mean by default, see `without_gaps`.
    """

    labels: tuple[str, ...]
    videos: tuple[AnnotatedVideo, ...]
    normalised: bool = False
    gaps: str = REFUSE


def check_labels(labels: object, path: object) -> tuple[str, ...]:
    """Names of actions; raises DataError where these are none."""
    if not isinstance(labels, list | tuple) or not labels or not all(isinstance(one, str) and one for one in labels):
        raise DataError(f"{path}: 'labels' is {labels!r:.80}; expected a list of at least one name.")
    if len(set(labels)) < len(labels):
        twice = next(one for one in labels if labels.count(one) > 1)
        raise DataError(f"{path}: 'labels' names {twice!r} twice; each action needs its own name.")
    return tuple(labels)


def check_gaps(gaps: str | int) -> str | int:
    """How gaps are filled: REFUSE, SPLIT or a number of frames; raises UsageError for anything else."""
    if isinstance(gaps, str) and gaps.isascii() and gaps.isdigit():
        gaps = int(gaps[:9])
    if gaps not in (REFUSE, SPLIT) and not (isinstance(gaps, int) and gaps >= 0):
        raise UsageError(f"gaps {gaps!r}: expected '{REFUSE}', '{SPLIT}', or the most frames that are filled.")
    return gaps


def without_gaps(tube: AnnotatedTube, gaps: str | int, where: str) -> list[AnnotatedTube]:
    """The tube in the order of its frames, or the parts of it.

    Args:
        tube: As annotated.
        gaps: What missing frames between two others mean: an error, two tubes, or, where they are no more than this
            number, boxes between the two, evenly spaced; two tubes where they are more.
        where: What errors call the tube.

    Raises:
        DataError: It has no frames, one twice, one below 1, or a gap.
    """
    frames = tube.frames
    if not len(frames) or frames.min() < 1 or frames.max() >= MOST_FRAMES:
        raise DataError(f"{where}: has frames {frames[:3].tolist()}...; expected at least one, counted from 1.")
    order = np.argsort(frames, kind="stable")
    frames, boxes = frames[order], tube.boxes[order]
    steps = np.diff(frames)
    if (steps == 0).any():
        raise DataError(f"{where}: has frame {frames[:-1][steps == 0][0]} twice. An object has one box in a frame.")
    if (steps > 1).any() and gaps == REFUSE:
        place = int(np.flatnonzero(steps > 1)[0])
        raise DataError(
            f"{where}: frame {frames[place]} is followed by {frames[place + 1]}. Correct it, or pass --gaps split for "
            f"two tubes, or --gaps {steps[place] - 1} to fill in boxes of up to so many frames."
        )
    longest = gaps if isinstance(gaps, int) else 0
    breaks = np.flatnonzero(steps > longest + 1) + 1
    parts = zip(np.split(frames, breaks), np.split(boxes, breaks))
    return [dataclasses.replace(tube, frames=whole, boxes=filled) for whole, filled in map(_filled, *zip(*parts))]


def _filled(frames: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All frames from the first to the last, with boxes on the straight lines between those there are."""
    whole = np.arange(frames[0], frames[-1] + 1)
    if len(whole) == len(frames):
        return frames, boxes
    with np.errstate(invalid="ignore"):
        return whole, np.stack([np.interp(whole, frames, edge) for edge in boxes.T], axis=1)


def identities(tubes: Sequence[AnnotatedTube]) -> list[int]:
    """An identity from 0 for each tube, the same for those of one track, no two the same in a frame.

    Where an individual does two things at a time, each is an identity of its own.
    """
    known: dict[int, int] = {}
    used: dict[int, set[int]] = {}
    found = [0] * len(tubes)
    for place in sorted(range(len(tubes)), key=lambda place: int(tubes[place].frames[0])):
        tube, frames = tubes[place], set(tubes[place].frames.tolist())
        number = None if tube.track is None else known.setdefault(tube.track, len(used))
        if number is None or used.get(number, set()) & frames:
            number = len(used)
        used.setdefault(number, set()).update(frames)
        found[place] = number
    return found


def whole_number(value: object, what: str, least: int = 0) -> int:
    """A whole number of a file; raises DataError, which names it, for anything else."""
    try:
        number = operator.index(value) if not isinstance(value, bool) else None
    except TypeError:
        number = None
    if number is None or not least <= number < MOST_FRAMES:
        raise DataError(f"{what} is {value!r:.60}; expected a whole number from {least}.")
    return number


def box_table(values: object, columns: int, where: str) -> np.ndarray:
    """[L, columns] float64 of lists or an array of numbers; raises DataError, which names them, for anything else."""
    table = _numbers(lambda: np.asarray(values, np.float64))
    if table is None or table.ndim != 2 or table.shape[1] != columns or not len(table):
        raise DataError(f"{where}: expected rows of {columns} numbers, got {values!r:.80}.")
    return table


def _numbers(make: Callable[[], np.ndarray]) -> np.ndarray | None:
    try:
        return make()
    except (TypeError, ValueError, OverflowError):
        return None
