"""Average precision of actions in frames and of tubes in videos, and what keeps the former from being 1.

As the official code of "Actions as Moving Points" (Li et al., 2020) has it, which took it from Kalogeiton et al., 2017:
the area under precision and recall without any rounding off, and a found object that takes the best of what is still
free. Of equal scores the first counts as the better.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from centernet_tf.geometry.boxes import box_iou
from centernet_tf.properties.tracks.tubelets import PIXEL

HIT, LOCALISATION, CLASSIFICATION, TIMING, OTHER, LEFT_OUT = range(6)
ERRORS = {"localisation": LOCALISATION, "classification": CLASSIFICATION, "timing": TIMING, "other": OTHER}


def area(heights: np.ndarray, recalls: np.ndarray) -> float:
    """Area under a curve of straight pieces, such as precision over recall.

    Args:
        heights: [N].
        recalls: [N], ascending.
    """
    return float(np.sum(np.diff(recalls) * (heights[1:] + heights[:-1]) / 2))


def sum_up(scores: np.ndarray, outcomes: np.ndarray, wanted: int) -> dict[str, float]:
    """Average precision of one class, and how much of the rest each kind of error took.

    Args:
        scores: [N] of all that was found.
        outcomes: [N] what became of each, `HIT` and the like; those that are left out do not count.
        wanted: How many are annotated.

    Returns:
        "AP", a number for each of `ERRORS`, the area under its share of what was found, and "missed", which is 1 minus
        the recall; all NaN where nothing is annotated.
    """
    if not wanted:
        return dict.fromkeys(("AP", *ERRORS, "missed"), float("nan"))
    outcomes, scores = (values[outcomes != LEFT_OUT] for values in (outcomes, scores))
    outcomes = outcomes[np.argsort(-scores, kind="stable")]
    hits, found = np.cumsum(outcomes == HIT), np.arange(1, len(outcomes) + 1)
    recalls = np.append(0.0, hits / wanted)
    shares = {name: np.append(0.0, np.cumsum(outcomes == kind) / found) for name, kind in ERRORS.items()}
    areas = {name: area(share, recalls) for name, share in shares.items()}
    return {"AP": area(np.append(1.0, hits / found), recalls), **areas, "missed": 1 - float(recalls[-1])}


@dataclasses.dataclass(frozen=True, eq=False)
class Wanted:
    """What is annotated in one frame.

    Attributes:
        boxes: [N, 4] left, top, right, bottom in pixels.
        classes: [N].
        unwanted: [U, 4] boxes that are neither objects nor background.
        unwanted_classes: [U], -1 for all classes.
    """

    boxes: np.ndarray
    classes: np.ndarray
    unwanted: np.ndarray
    unwanted_classes: np.ndarray


def judge_frame(
    boxes: np.ndarray, scores: np.ndarray, label: int, wanted: Wanted, overlap: float, elsewhere: bool
) -> np.ndarray:
    """What becomes of the objects of one class that were found in a frame.

    Args:
        boxes: [N, 4].
        scores: [N].
        label: The class.
        wanted: What is annotated.
        overlap: IoU from which two boxes are one.
        elsewhere: Whether the class is annotated in any frame of the video.

    Returns:
        [N] HIT; LOCALISATION where the class is in the frame, elsewhere or found already; CLASSIFICATION where it is
        not, but something else stands there; TIMING where nothing is annotated in the frame, but the class in another;
        OTHER; or LEFT_OUT on what is neither object nor background.
    """
    own = wanted.classes == label
    free = own.copy()
    iou = box_iou(wanted.boxes, boxes, PIXEL)  # [G, N]
    ignored = wanted.unwanted[(wanted.unwanted_classes == label) | (wanted.unwanted_classes < 0)]
    excused = (box_iou(ignored, boxes, PIXEL) >= overlap).any(axis=0)
    if own.any():
        usual = np.full(len(boxes), LOCALISATION)
    elif len(own):
        usual = np.where((iou >= overlap).any(axis=0), CLASSIFICATION, OTHER)
    else:
        usual = np.full(len(boxes), TIMING if elsewhere else OTHER)
    outcomes = np.where(excused, LEFT_OUT, usual)
    near = (iou[own] >= overlap).any(axis=0)
    order = np.argsort(-scores, kind="stable")
    for column in order[near[order]].tolist():
        best = int(np.argmax(np.where(free, iou[:, column], -1)))
        if free[best] and iou[best, column] >= overlap:
            free[best] = False
            outcomes[column] = HIT
    return outcomes


@dataclasses.dataclass(frozen=True, eq=False)
class Compared:
    """The tubes of one class in one video.

    Attributes:
        scores: [N] of the found ones, best first.
        iou: [N, M] with those that are annotated.
        excused: [N] bool, found where nothing is wanted and nothing is wrong.
    """

    scores: np.ndarray
    iou: np.ndarray
    excused: np.ndarray


def tube_ap(videos: Sequence[Compared], overlap: float) -> float:
    """Average precision of the tubes of one class in all videos; NaN where none is annotated.

    Args:
        videos: A video each.
        overlap: In space and time, from which two tubes are one.
    """
    outcomes = [_judge_tubes(video, overlap) for video in videos]
    scores = np.concatenate([np.zeros(0), *(video.scores for video in videos)])
    joined = np.concatenate([np.zeros(0, np.int64), *outcomes])
    return sum_up(scores, joined, sum(video.iou.shape[1] for video in videos))["AP"]


def _judge_tubes(video: Compared, overlap: float) -> np.ndarray:
    outcomes = np.where(video.excused, LEFT_OUT, OTHER)
    free = np.ones(video.iou.shape[1], bool)
    for row, values in enumerate(video.iou):
        if free.any() and (values[free] >= overlap).any():
            free[int(np.argmax(np.where(free, values, -1)))] = False
            outcomes[row] = HIT
    return outcomes
