"""Tubes of a video as lines of JSON, each told once it is over."""

import array
import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from centernet_tf.properties.chronicle import Chronicle
from centernet_tf.properties.property import Rows
from centernet_tf.properties.tracks.tubes import MIN_SCORE, SCORE


@dataclasses.dataclass
class _Open:
    """A tube that may go on; 16 bytes a frame are held of it.

    Attributes:
        label: Number of the class.
        first: Its first frame.
        last: Its last one so far.
        score: So far.
        boxes: Left, top, width, height of each frame.
    """

    label: int
    first: int
    last: int
    score: float = 0.0
    boxes: array.array = dataclasses.field(default_factory=lambda: array.array("f"))


class TubeLines(Chronicle):
    """Gathers tubes; their boxes are left, top, width, height, as those of objects in the same JSON.

    Args:
        names: Of the classes.
        digits: Decimals of boxes and scores; None keeps them.
        min_score: Tubes below it are left out.
    """

    key: ClassVar = "tubes"

    def __init__(self, names: Sequence[str], digits: int | None = None, min_score: float = MIN_SCORE):
        self._names, self._digits, self._min_score = names, digits, min_score
        self._open: dict[int, _Open] = {}

    def add(self, frame: int, rows: Rows) -> list[dict[str, Any]]:
        over: list[dict[str, Any]] = []
        ids, classes = np.asarray(rows["track_ids"]).tolist(), np.asarray(rows["classes"]).tolist()
        boxes = np.concatenate([rows["boxes"][:, :2], rows["boxes"][:, 2:] - rows["boxes"][:, :2]], axis=1)
        for number, label, box, score in zip(ids, classes, boxes.tolist(), np.float64(rows[SCORE]).tolist()):
            tube = self._open.get(number)
            if tube is None or tube.label != label or tube.last != frame - 1:
                over += self._told(number)
                tube = self._open[number] = _Open(label, frame, frame)
            tube.last, tube.score = frame, score  # its last frame's is that of the whole
            tube.boxes.extend(box)
        for number in [number for number, tube in self._open.items() if tube.last != frame]:
            over += self._told(number)
        return over

    def finish(self) -> list[dict[str, Any]]:
        return [line for number in list(self._open) for line in self._told(number)]

    def _told(self, number: int) -> list[dict[str, Any]]:
        tube = self._open.pop(number, None)
        if tube is None or tube.score < self._min_score:
            return []
        boxes = np.array(tube.boxes, np.float64).reshape(-1, 4)
        if self._digits is not None:
            boxes, tube.score = np.round(boxes, self._digits), round(tube.score, self._digits)
        frames = list(range(tube.first, tube.last + 1))
        told = {"label": self._names[tube.label], "score": tube.score, "track_id": number}
        return [{**told, "frames": frames, "boxes": boxes.tolist()}]
