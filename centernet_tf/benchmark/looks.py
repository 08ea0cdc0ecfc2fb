"""Who is who in videos by overlap, motion, looks or displacement, and of whom was away and came back."""

import collections
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from centernet_tf.data.dataset import Dataset, Record, iterate, open_dataset
from centernet_tf.detector.detector import Detector, load
from centernet_tf.detector.follow import follow, with_settings
from centernet_tf.errors import UsageError
from centernet_tf.evaluation import check_classes
from centernet_tf.metrics.tables import percent
from centernet_tf.properties.metric import ImageKey
from centernet_tf.properties.tracks.looks import LooksMetric
from centernet_tf.properties.tracks.scores import TrackMetric
from centernet_tf.results import Detections

ABSENT = 5  # frames without a sight from which somebody was away
WAYS = {
    "overlap": {"use_embedding": False, "use_motion": False},
    "overlap, motion": {"use_embedding": False},
    "looks": {"use_motion": False},
    "looks, motion": {},
}


def measure(words: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Rows of (model and way, MOTA, IDF1, HOTA and switches of all, the same of whom was away, mAP, mAP by chance).

    Args:
        words: A folder of records of videos, then model files that track; one that tracks by looks is measured in all
            ways that it can go without, others as they are.

    Raises:
        UsageError: There is no model, or it tracks nothing; its classes are not those of the records.
    """
    if len(words) < 2:
        raise UsageError("looks: give records of videos and models that track: looks tfrecords/looks/val best.keras")
    dataset = open_dataset(words[0])
    away = who_was_away(iterate(dataset))
    for path in words[1:]:
        detector = load(path)
        check_classes(detector, dataset)
        for name, settings in ways_of(detector).items():
            yield (f"{path}: {name}", *figures(with_settings(detector, **settings), dataset, away))


def who_was_away(records: Iterable[Record]) -> set[tuple[str, int]]:
    """(video, identity) of all who are not seen for `ABSENT` frames or more, and seen again."""
    seen = collections.defaultdict(list)
    for record in records:
        for identity in record.rows["track_ids"]:
            seen[record.video, int(identity)].append(record.frame)
    return {one for one, frames in seen.items() if one[1] >= 0 and max(np.diff(sorted(frames)), default=0) > ABSENT}


def ways_of(detector: Detector) -> Mapping[str, dict[str, Any]]:
    """{name: settings} of the ways in which a model can say who is who."""
    names = [task.name for task in detector.tasks.tasks if task.associate is not None]
    if not names:
        raise UsageError(f"A model of {', '.join(detector.card.tasks)} does not track. Give one that does.")
    return WAYS if WAYS["overlap"].keys() <= detector.card.tasks[names[0]].keys() else {names[0]: {}}


def figures(detector: Detector, dataset: Dataset, away: set[tuple[str, int]]) -> tuple[str, ...]:
    """A row of `measure`, but for its name."""
    everyone, some, looks = TrackMetric(dataset.classes), TrackMetric(dataset.classes), LooksMetric()
    for record, found, told in _frames(detector, dataset):
        key, truth = ImageKey(record.image_id, record.video, record.frame), record.truth()
        truth["boxes"] = truth.pop("full_boxes")
        looks.update(key, found.rows, truth)
        everyone.update(key, told.rows, truth)
        # Whoever has no identity is neither wanted nor background.
        ids = [number if (record.video, int(number)) in away else -1 for number in truth["track_ids"]]
        some.update(key, told.rows, {**truth, "track_ids": np.array(ids, np.int64)})
    score = looks.result()
    found_again = {} if score is None else score.figures()
    return (
        *_tracks(everyone),
        *_tracks(some),
        *(percent(found_again.get(name, np.nan)) for name in ("mAP", "mAP by chance")),
    )


def _tracks(metric: TrackMetric) -> tuple[str, ...]:
    sums = metric.result().all
    values = sums.figures()
    return *(percent(values[name]) for name in ("MOTA", "IDF1", "HOTA")), str(sums.counts()["switches"])


def _frames(detector: Detector, dataset: Dataset) -> Iterator[tuple[Record, Detections, Detections]]:
    """Each frame of the videos, all that is found in it, and what is told of it."""
    for _, group in itertools.groupby(iterate(dataset), key=lambda record: record.video):
        records, found = list(group), []
        told = follow(detector, [record.image for record in records], 0.0, keep=found.append)
        yield from zip(records, found, list(told))
