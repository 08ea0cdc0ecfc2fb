"""Scores of actions: AP in frames and of tubes in space and time, and what the errors are."""

import dataclasses
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from rich.table import Table

from centernet_tf.errors import DataError
from centernet_tf.geometry.boxes import box_iou
from centernet_tf.host.plain import plain
from centernet_tf.metrics.tables import number, percent
from centernet_tf.properties.metric import ImageKey, Metric, Score
from centernet_tf.properties.property import Rows
from centernet_tf.properties.tracks.tube_ap import ERRORS, Compared, Wanted, judge_frame, sum_up, tube_ap
from centernet_tf.properties.tracks.tubelets import PIXEL, frame_detections
from centernet_tf.properties.tracks.tubes import MIN_SCORE, Tube, TubeBook, distinct, tube_iou

FRAME_OVERLAP = 0.5
OVERLAPS = (0.2, *(round(0.5 + 0.05 * step, 2) for step in range(10)))
RANGE = "0.5:0.95"
SHOWN = ("0.2", "0.5", "0.75", RANGE)


@dataclasses.dataclass(frozen=True)
class TubeScores(Score):
    """What is said of the actions.

    Attributes:
        names: Of the classes that are annotated or found.
        frames: For each "AP" in frames, and the errors of `tube_ap.sum_up`; NaN where none is annotated.
        tubes: For each AP of tubes, by overlap in space and time.
        videos: How many there are.
    """

    names: tuple[str, ...]
    frames: tuple[Mapping[str, float], ...]
    tubes: tuple[Mapping[str, float], ...]
    videos: int

    @property
    def frame_means(self) -> dict[str, float]:
        """Means over the classes that are annotated; NaN without any."""
        return _means(self.frames)

    @property
    def tube_means(self) -> dict[str, float]:
        """The same of tubes."""
        return _means(self.tubes)

    @property
    def main(self) -> dict[str, float]:
        return {"frame-mAP": self.frame_means["AP"], "video-mAP": self.tube_means["0.5"]}

    def tables(self) -> list[Table]:
        """AP of each class and their means, then the errors."""
        table = Table(title=f"Actions in {self.videos} videos: AP in frames at IoU 0.5, and of tubes")
        errors = Table(title="Errors in frames at IoU 0.5")
        for one, columns in ((table, ("frames", *(f"tubes {name}" for name in SHOWN))), (errors, (*ERRORS, "missed"))):
            one.add_column("class")
            for name in columns:
                one.add_column(name, justify="right")
        named = [*zip(self.names, self.frames, self.tubes), ("mean", self.frame_means, self.tube_means)]
        for row, (name, frames, tubes) in enumerate(named):
            if row == len(self.names):
                table.add_section()
                errors.add_section()
            table.add_row(plain(name), percent(frames["AP"]), *(percent(tubes[key]) for key in SHOWN))
            errors.add_row(plain(name), *(percent(frames[key]) for key in (*ERRORS, "missed")))
        return [table, errors]

    def as_dict(self) -> dict[str, Any]:
        """ "tubes": "videos", "summary" and "classes" [{name, ...}], each with "frame-mAP" or "frame AP", "video-mAP"
        or "video AP" by overlap, and "errors".
        """
        classes = [
            {"name": name, **_plain("AP", frames, tubes)}
            for name, frames, tubes in zip(self.names, self.frames, self.tubes)
        ]
        return {
            "tubes": {
                "videos": self.videos,
                "summary": _plain("mAP", self.frame_means, self.tube_means),
                "classes": classes,
            }
        }


class TubeMetric(Metric):
    """Gathers videos and scores their actions: frame by frame, and tube by tube.

    In frames, what was found in all windows counts that show the frame ("tubelets"); objects themselves where nothing
    was found but them. Tubes are those that the identities tell. Frames of a video come together; objects without
    identity, crowds and ignored ones are neither wanted nor background.

    Args:
        names: Of the classes.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = tuple(names)
        self._open: _Video | None = None
        self._done: set[str] = set()
        # Of each class: scores and outcomes of what was found in frames, objects in frames, tubes.
        self._found: dict[int, list[tuple[np.ndarray, np.ndarray]]] = defaultdict(list)
        self._wanted: dict[int, int] = defaultdict(int)
        self._tubes: dict[int, list[Compared]] = defaultdict(list)

    def alone(self, image: ImageKey, found: Rows) -> None:
        if image.video:
            self._video(image).found[image.frame] = found

    def update(self, image: ImageKey, found: Rows, truth: Rows) -> None:
        if image.video:
            self._video(image).add(image.frame, found, truth)

    def result(self) -> TubeScores | None:
        self._close()
        if not self._done:
            return None
        labels = sorted({*self._found, *self._wanted, *self._tubes})
        frames, tubes = [], []
        for label in labels:
            found = self._found[label]
            scores, outcomes = (np.concatenate([np.zeros(0), *(one[part] for one in found)]) for part in (0, 1))
            frames.append(sum_up(scores, outcomes, self._wanted[label]))
            values = {f"{overlap:g}": tube_ap(self._tubes[label], overlap) for overlap in OVERLAPS}
            fine = [values[f"{overlap:g}"] for overlap in OVERLAPS if overlap >= 0.5]
            tubes.append({**values, RANGE: float(np.mean(fine))})
        return TubeScores(tuple(self._names[label] for label in labels), tuple(frames), tuple(tubes), len(self._done))

    def _video(self, image: ImageKey) -> "_Video":
        if self._open is None or self._open.name != image.video:
            self._close()
            if image.video in self._done:
                raise DataError(
                    f"Frames of video {image.video} do not follow one another. Write the records again, one video "
                    "after the other."
                )
            self._open = _Video(image.video)
        return self._open

    def _close(self) -> None:
        """Judges the video that is open, so that only what became of its objects is held."""
        video, self._open = self._open, None
        if video is None:
            return
        self._done.add(video.name)
        for label, compared in video.compared().items():
            self._tubes[label].append(compared)
        for label, judged in video.judged().items():
            self._found[label].append(judged)
        for wanted in video.wanted.values():
            for label, count in zip(*np.unique(wanted.classes, return_counts=True)):
                self._wanted[int(label)] += int(count)


class _Video:
    """What is known of the frames of one video."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.found: dict[int, Rows] = {}
        self.wanted: dict[int, Wanted] = {}
        self._told, self._truth = TubeBook(), TubeBook()

    def add(self, frame: int, found: Rows, truth: Rows) -> None:
        """Takes in a frame: what was told of it, and what is annotated."""
        unwanted = truth["ignored"] | truth["crowd"] | (truth["track_ids"] < 0)
        boxes, classes = (np.asarray(truth[name]) for name in ("boxes", "classes"))
        self.wanted[frame] = Wanted(boxes[~unwanted], classes[~unwanted], boxes[unwanted], classes[unwanted])
        self._truth.add(frame, {**truth, "track_ids": np.where(unwanted, -1, truth["track_ids"])})
        self.found.setdefault(frame, found)
        if "track_ids" in found:
            self._told.add(frame, found)

    def judged(self) -> dict[int, tuple[np.ndarray, np.ndarray]]:
        """{class: scores [N] float32 and outcomes [N] int8 of what was found in the frames, in their order}."""
        anywhere = {int(label) for wanted in self.wanted.values() for label in wanted.classes}
        parts: dict[int, list[tuple[np.ndarray, np.ndarray]]] = defaultdict(list)
        for frame, found in self._in_frames():
            for label in np.unique(found["classes"]).tolist():
                own = found["classes"] == label
                boxes, scores = found["boxes"][own], np.asarray(found["scores"], np.float32)[own]
                outcomes = judge_frame(boxes, scores, label, self.wanted[frame], FRAME_OVERLAP, label in anywhere)
                parts[label].append((scores, outcomes.astype(np.int8)))
        return {label: tuple(map(np.concatenate, zip(*several))) for label, several in parts.items()}

    def _in_frames(self) -> Iterator[tuple[int, Rows]]:
        """Each frame, and what was found in it by all windows that lie in the video."""
        frames = sorted(self.wanted)
        found = [self.found[frame] for frame in frames]
        lengths = {np.shape(rows["tubelets"])[1] for rows in found if "tubelets" in rows}
        if not lengths:
            yield from zip(frames, found)
            return
        length = max(lengths)
        # What the window around a frame holds stands with that frame.
        keys = range(length // 2, len(frames) - (length - 1 - length // 2))
        windows = {key - length // 2: found[key] for key in keys}
        for place, frame in enumerate(frames):
            starts = range(max(place - length + 1, 0), min(place, len(windows) - 1) + 1)
            yield frame, frame_detections({start: windows[start] for start in starts}, place)

    def compared(self) -> dict[int, Compared]:
        """{class: found and annotated tubes}."""
        found, wanted = self._told.tubes(MIN_SCORE), self._truth.tubes()
        compared = {}
        for label in {tube.label for tube in (*found, *wanted)}:
            own = [tube for tube in found if tube.label == label]
            own = [own[place] for place in distinct(own)]
            iou = tube_iou(own, [tube for tube in wanted if tube.label == label])
            excused = np.array([self._is_excused(tube) for tube in own], bool)
            compared[label] = Compared(np.array([tube.score for tube in own]), iou, excused)
        return compared

    def _is_excused(self, tube: Tube) -> bool:
        """Whether at least half of a tube lies on what is neither wanted nor background."""
        there = 0
        for frame, box in zip(tube.frames.tolist(), tube.boxes):
            wanted = self.wanted[frame]
            boxes = wanted.unwanted[(wanted.unwanted_classes == tube.label) | (wanted.unwanted_classes < 0)]
            there += bool((box_iou(boxes, box[None], PIXEL) >= FRAME_OVERLAP).any())
        return 2 * there >= len(tube.frames) and there > 0


def _means(classes: Sequence[Mapping[str, float]]) -> dict[str, float]:
    known = [one for one in classes if not any(map(np.isnan, one.values()))]
    names = classes[0] if classes else (*ERRORS, "missed", "AP", *(f"{overlap:g}" for overlap in OVERLAPS), RANGE)
    return {name: float(np.mean([one[name] for one in known])) if known else float("nan") for name in names}


def _plain(kind: str, frames: Mapping[str, float], tubes: Mapping[str, float]) -> dict[str, Any]:
    return {
        f"frame {kind}": number(frames["AP"]),
        f"video {kind}": {name: number(value) for name, value in tubes.items()},
        "errors": {name: number(frames[name]) for name in (*ERRORS, "missed")},
    }
