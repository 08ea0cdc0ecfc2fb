"""Reads tubes from AVA's CSV, which MultiSports has too: a box, an action and a person on each line.

video, time, left, top, right, bottom, action, person: boxes are fractions of the image, actions count from 1, the time
is in seconds (AVA) or is the number of the frame (MultiSports, whose further column is not needed). Lines without a box
say that a moment shows no action.
"""

import csv
import dataclasses
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from centernet_tf.datasets.tube_annotations import SPLIT, AnnotatedTube, AnnotatedVideo, Annotations, check_labels
from centernet_tf.errors import DataError, UsageError
from centernet_tf.host.reading import read_lines

COLUMNS = "video, time, left, top, right, bottom, action, person"


@dataclasses.dataclass(frozen=True)
class Clock:
    """Which frame a time is.

    Attributes:
        rate: Frames in a unit of time; 30 for AVA's usual frames, 1 where the time is the number of the frame.
        start: Time of frame 1; 900 for AVA.
    """

    rate: float = 1.0
    start: float = 1.0

    def __post_init__(self) -> None:
        if not (self.rate > 0 and math.isfinite(self.rate) and math.isfinite(self.start)):
            raise UsageError(f"rate {self.rate:g} and start {self.start:g}: expected numbers, the rate above 0.")

    def frame(self, time: float) -> int:
        """From 1."""
        return round((time - self.start) * self.rate) + 1


def read(path: Path, labels: Sequence[str] | None, clock: Clock | None = None) -> Annotations:
    """Reads a file of boxes. One person's boxes with one action are a tube.

    Args:
        path: Such as ava_train_v2.2.csv.
        labels: Names of the actions, from number 1 on.
        clock: Which frame a time is.

    Raises:
        UsageError: There is no such file, or nobody says what the actions are called.
        DataError: A line is not what the module's docstring says, or its action has no name; it is told.
    """
    if not path.is_file():
        raise UsageError(f"{path}: no such file.")
    if labels is None:
        raise UsageError(f"{path}: has numbers of actions only. Give their names, --labels ava_action_list.pbtxt.")
    names, clock = check_labels(list(labels), "--labels"), clock or Clock()
    rows: dict[str, dict[tuple[int, int], list[tuple[int, list[float]]]]] = defaultdict(lambda: defaultdict(list))
    for line, words in _lines(path):
        video, time, box, action, person = _row(words, f"{path}: line {line}")
        if box is None:
            rows[video]
            continue
        if not 1 <= action <= len(names):
            raise DataError(
                f"{path}: line {line} has action {action}, but there are names of {len(names)}, from 1. Give the list "
                "of labels that belongs to this file."
            )
        rows[video][person, action].append((clock.frame(time), box))
    videos = []
    for video, tubes in sorted(rows.items()):
        found = [
            AnnotatedTube(action - 1, np.array([frame for frame, _ in boxes]), np.array([box for _, box in boxes]), who)
            for (who, action), boxes in sorted(tubes.items())
        ]
        videos.append(AnnotatedVideo(video, tuple(found)))
    return Annotations(names, tuple(videos), normalised=True, gaps=SPLIT)


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Lines that are not empty, with their numbers, without a line of headings."""
    for number, words in enumerate(csv.reader(read_lines(path, DataError)), start=1):
        if words and not (number == 1 and not any(map(_is_number, words))):
            yield number, [word.strip() for word in words]


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _row(words: list[str], where: str) -> tuple[str, float, list[float] | None, int, int]:
    """Video, time, box or None, action, person."""
    if len(words) >= 7 and words[0] and not any(words[2:7]):
        return words[0], 0.0, None, 0, 0
    try:
        video, time, *box, action, person = words[:8]
        row = video, float(time), [float(word) for word in box], int(action), int(person)
    except ValueError:
        row = None
    if row is None or len(row[2]) != 4 or not row[0] or not abs(row[1]) < 1e9 or row[4] < 0:
        raise DataError(f"{where} is {', '.join(words)!r:.120}; expected {COLUMNS}.")
    if max(map(abs, row[2])) > 2:
        raise DataError(f"{where} has box {row[2]}; expected fractions of the image, not pixels.")
    return row
