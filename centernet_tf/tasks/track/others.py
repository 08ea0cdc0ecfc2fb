"""Trackers by boxes alone, which any detector can feed: those of the package `trackers` (Apache-2.0).

ByteTrack (Zhang et al., 2022), OC-SORT (Cao et al., 2023) and BoT-SORT (Aharon et al., 2022) predict where each box
moves by a Kalman filter, and match boxes by IoU. They see one class at a time here, so that none changes its class.
"""

import dataclasses
import importlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from centernet_tf.errors import UsageError
from centernet_tf.points.task import Association, Task
from centernet_tf.points.task_set import TaskSet
from centernet_tf.properties.tracks import Tracks

# {name: (class in the package, whether it looks at the frames)}
TRACKERS = {
    "bytetrack": ("ByteTrackTracker", False),
    "ocsort": ("OCSORTTracker", False),
    "botsort": ("BoTSORTTracker", True),
}
# Our names of settings, and theirs.
SETTINGS = {"birth": "track_activation_threshold", "max_age": "lost_track_buffer"}


def with_tracker(tasks: TaskSet, name: str, **settings: Any) -> TaskSet:
    """The same tasks, and what is found associated over time by another tracker.

    Args:
        tasks: Of a model that does not track by itself.
        name: A key of `TRACKERS`.
        settings: "birth", the score above which a box becomes someone new, and "max_age", the frames that someone is
            remembered who is not seen; the tracker's own if left out.

    Raises:
        UsageError: The package is missing, the tracker has no such setting, or the model tracks by itself.
    """
    if tasks.associate is not None:
        raise UsageError(f"This model tracks by itself, without {name}. Leave out the tracker, or give a detector.")
    kind, looks = TRACKERS[name]
    try:
        package = importlib.import_module("trackers")
    except ImportError as error:
        raise UsageError(f"{name}: a package is missing ({error}). pip install 'centernet_tf[trackers]'.") from None
    known = getattr(package, kind)
    given = {SETTINGS[ours]: value for ours, value in settings.items() if value is not None}
    try:
        known(**given)  # complains of settings before any frame is read
    except TypeError:
        raise UsageError(f"{name} has not all of these settings: {', '.join(settings)}. Leave them out.") from None

    def step(found: Any, memory: "_Memory", image: np.ndarray | None = None) -> tuple[list[Any], "_Memory"]:
        ids = memory.update(found, image)
        named = dataclasses.replace(found, fields={**found.fields, "track_ids": ids})
        return [named[ids > 0]], memory

    associate = Association(lambda: _Memory(lambda: known(**given)), step, lambda memory: [], looks=looks)
    carrier = Task(name, (), (), lambda rows, centers: {}, lambda outputs, peaks: {}, associate=associate)
    return dataclasses.replace(tasks, tasks=(*tasks.tasks, dataclasses.replace(carrier, property=Tracks())))


class _Memory:
    """A tracker for each class that was seen, and our number of each of their identities; each frame changes it."""

    def __init__(self, make: Any):
        self._make = make
        self._trackers: dict[int, Any] = {}
        self._numbers: dict[tuple[int, int], int] = {}

    def update(self, found: Any, image: np.ndarray | None) -> np.ndarray:
        """[N] int64 identities from 1, 0 of who is nobody yet."""
        ids = np.zeros(len(found), np.int64)
        for label in sorted({*self._trackers, *found.classes.tolist()}):
            if label not in self._trackers:
                self._trackers[label] = self._make()
            tracker = self._trackers[label]
            rows = np.flatnonzero(found.classes == label)
            told = self._told(tracker, found, rows, image)
            for row, number in told.items():
                if number >= 0:
                    ids[row] = self._numbers.setdefault((label, number), len(self._numbers) + 1)
        return ids

    @staticmethod
    def _told(tracker: Any, found: Any, rows: np.ndarray, image: np.ndarray | None) -> Mapping[int, int]:
        """{row: the tracker's identity}; it may change their order."""
        import supervision

        given = supervision.Detections(
            xyxy=found.boxes[rows].astype(np.float32),
            confidence=found.scores[rows].astype(np.float32),
            class_id=found.classes[rows].astype(int),
            data={"row": rows},
        )
        told = tracker.update(given) if image is None else tracker.update(given, image[..., ::-1])
        if not len(told) or told.tracker_id is None:
            return {}
        return dict(zip(told.data["row"].tolist(), told.tracker_id.tolist()))
