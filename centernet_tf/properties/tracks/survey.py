"""What can be wrong with identities, and how long they are seen."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
from rich.table import Table

from centernet_tf.properties.metric import SINGLE, ImageKey
from centernet_tf.properties.notebook import AGAIN, Check, Notebook
from centernet_tf.properties.property import Rows, Size, Survey

# An object that moves further between neighbouring frames, in its own longer sides, is probably another one.
_JUMP = 3.0
WINDOW = 7  # frames that a network of actions usually sees at once

CHECKS = {
    "bad_tracks": Check("error", "identities that are not one for each box", f"Correct the annotations. {AGAIN}."),
    "twin_track": Check(
        "error",
        "identities that stand twice in a frame",
        f"Give each object of a frame its own identity. {AGAIN}.",
    ),
    "track_changes_class": Check(
        "warning",
        "identities that change their class",
        f"Give an object one class in all frames, or two identities. {AGAIN}.",
    ),
    "track_jumps": Check(
        "warning",
        "identities that jump between neighbouring frames",
        "Look whether two objects share an identity there, or frames are missing.",
    ),
    "no_tracks_at_all": Check(
        "warning",
        "videos without a single identity",
        f"Nothing can be learnt or scored of who is who. Give the objects identities, if they have any. {AGAIN}.",
    ),
    "short_tube": Check(
        "note",
        f"tubes of fewer than {WINDOW} frames",
        f"No window of {WINDOW} frames, as is usual for actions, lies in them, so that none is learnt from.",
    ),
    "no_track": Check("note", "objects without identity", "They are trained as objects without motion."),
}


class TrackSurvey(Survey):
    """Adds up identities, a frame at a time, those of a video one after another.

    Args:
        notebook: Takes what is found.
        tubes: Whether classes are actions, so that an identity may change its class.
    """

    def __init__(self, notebook: Notebook, tubes: bool = False) -> None:
        self.notebook = notebook
        self._tubes: list[int] | None = [] if tubes else None  # frames of each tube that has ended
        self._runs: dict[int, int] = {}  # of this video: frames that each identity has had its class
        self._lengths: Counter[tuple[str, int]] = Counter()  # frames of each identity of each video
        self._last: dict[int, tuple[int, int, np.ndarray]] = {}  # of this video: frame, class, box
        self._video = ""
        self._gaps = 0
        self._unknown: Counter[str] = Counter()  # objects of each video, where nobody says who they are

    def add(self, name: str, rows: Rows, size: Size, image: ImageKey = SINGLE) -> None:
        ids, kept = rows["track_ids"], ~rows["ignored"]
        unknown = int((kept & (ids < 0)).sum())
        self.notebook.add("no_track", name, unknown)
        self._unknown[image.video] += unknown
        known = np.flatnonzero(kept & (ids >= 0))
        numbers, counts = np.unique(ids[known], return_counts=True)
        self.notebook.add("twin_track", f"{name}: identity {numbers[counts > 1][:1]}", int((counts > 1).sum()))
        if image.video != self._video:
            self._end_tubes()
            self._video, self._last = image.video, {}
        for row in known:
            self._add(name, int(ids[row]), int(rows["classes"][row]), rows["boxes"][row], image)

    def _add(self, name: str, number: int, label: int, box: np.ndarray, image: ImageKey) -> None:
        self._lengths[image.video, number] += 1
        if number in self._last:
            frame, before, place = self._last[number]
            changes = before != label and self._tubes is None
            self.notebook.add("track_changes_class", f"{name}: identity {number}", changes)
            if before != label or image.frame != frame + 1:
                self._end_tube(number)
            away = np.abs(box[:2] + box[2:] - place[:2] - place[2:]).max() / 2
            reach = _JUMP * max((place[2:] - place[:2]).max(), (box[2:] - box[:2]).max())
            apart = image.frame - frame
            text = f"{name}: identity {number} moved by {away:.0f} pixels"
            self.notebook.add("track_jumps", text, apart == 1 and away > reach)
            self._gaps += apart > 1
        self._last[number] = image.frame, label, box
        self._runs[number] = self._runs.get(number, 0) + 1

    def _end_tubes(self) -> None:
        for number in list(self._runs):
            self._end_tube(number)

    def _end_tube(self, number: int) -> None:
        """The identity does something else from now on, or is gone."""
        length = self._runs.pop(number, 0)
        if self._tubes is not None and length:
            self._tubes.append(length)
            text = f"{self._video}: identity {number}, {length} frames"
            self.notebook.add("short_tube", text, length < WINDOW)

    def close(self) -> None:
        """Notes videos, not single images, of which no object at all has an identity."""
        self._end_tubes()
        if not self._lengths:
            for video, count in self._unknown.items():
                self.notebook.add("no_tracks_at_all", video, bool(video) and count > 0)

    def facts(self) -> dict[str, str]:
        """How many identities there are, and how long they are seen."""
        if not self._lengths:
            return {}
        lengths = np.array(list(self._lengths.values()))
        text = f"{len(lengths)}, seen in {lengths.min()} to {lengths.max()} frames, median {np.median(lengths):g}"
        facts = {"identities": f"{text}; {self._gaps} gaps"}
        if self._tubes:
            spread = f"{min(self._tubes)} to {max(self._tubes)} frames, median {np.median(self._tubes):g}"
            facts["tubes"] = f"{len(self._tubes)}, of {spread}"
        return facts

    def tables(self) -> list[Table]:
        return []

    def as_dict(self) -> dict[str, Any]:
        """ "identities", "gaps", and "frames" of an identity: "low", "median", "high"; None without any.

        Of actions also "tubes" and "tube_frames".
        """
        found = {"identities": len(self._lengths), "gaps": self._gaps, "frames": _spread(self._lengths.values())}
        if self._tubes is not None:
            found |= {"tubes": len(self._tubes), "tube_frames": _spread(self._tubes)}
        return found


def _spread(lengths: Iterable[int]) -> dict[str, Any] | None:
    values = np.array(list(lengths))
    if not len(values):
        return None
    return {"low": int(values.min()), "median": float(np.median(values)), "high": int(values.max())}
