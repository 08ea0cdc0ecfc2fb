"""Scores a detector on records: AP of boxes (COCO, VOC 2007), and what the properties measure."""

import collections
import dataclasses
import inspect
import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from rich.table import Table

from centernet_tf.data.dataset import Dataset, Record, iterate
from centernet_tf.detector.detector import Detector
from centernet_tf.detector.entries import as_image
from centernet_tf.detector.follow import follow
from centernet_tf.errors import DataError, UsageError
from centernet_tf.metrics.coco import CocoBoxes, CocoScores
from centernet_tf.metrics.ignored import as_crowd
from centernet_tf.metrics.tables import class_table, report, summary_table
from centernet_tf.metrics.voc import VocBoxes, VocScores
from centernet_tf.properties.metric import ImageKey, Metric, Score
from centernet_tf.properties.property import Property
from centernet_tf.results import Detections

MOST = 100  # results of an image and class that COCO's AP looks at
_BOXES = ("boxes", "classes", "crowd", "difficult", "ignored", "area")


@dataclasses.dataclass(frozen=True)
class Scores:
    """What `evaluate` found.

    Attributes:
        coco: AP over IoU 0.50 to 0.95, and the rest of COCO's numbers.
        voc: AP at IoU 0.5 in Pascal VOC 2007's way.
        scores: What the metrics of the properties say.
        boxes: All that COCO's numbers were counted from; None where nobody kept it.
    """

    coco: CocoScores
    voc: VocScores
    scores: tuple[Score, ...] = ()
    boxes: CocoBoxes | None = None

    @property
    def main(self) -> dict[str, float]:
        """The one number of each thing that is found, boxes first; NaN where nothing is annotated."""
        return _joined({"AP": self.coco.summary["AP"]}, *(score.main for score in self.scores))

    def tables(self) -> list[Table]:
        """All numbers for people, those of boxes first."""
        of_properties = [table for score in self.scores for table in score.tables()]
        return [class_table(self.coco, self.voc), summary_table(self.coco), *of_properties]

    def as_dict(self) -> dict[str, Any]:
        """All numbers ready for JSON: those of `metrics.tables.report`, and a key for each score of a property."""
        return _joined(report(self.coco, self.voc), *(score.as_dict() for score in self.scores))


def check_classes(detector: Detector, dataset: Dataset) -> None:
    """Raises UsageError where a model and records do not mean the same classes, in the same order."""
    if detector.names == dataset.classes:
        return
    missing = [name for name in dataset.classes if name not in detector.names]
    extra = [name for name in detector.names if name not in dataset.classes]
    difference = f"only in the records: {missing or 'none'}; only in the model: {extra or 'none'}"
    if not missing and not extra:
        difference = f"the same names in another order: model {list(detector.names)}, records {list(dataset.classes)}"
    raise UsageError(
        f"{dataset.directory}: {len(dataset.classes)} classes, but the model has {len(detector.names)} ({difference}). "
        "Write the records again with the model's class list (--classes), or train a model on these."
    )


def with_properties(dataset: Dataset, detector: Detector) -> Dataset:
    """Records that are scored on: properties that they do not name mean there what they mean to the model.

    Raises:
        UsageError: A property means something else, or the model needs something of each image that the records lack.
    """
    held = {field.name for one in dataset.properties for field in one.fields}
    for extra in detector.extras:
        if extra.name not in held:
            raise UsageError(
                f"{dataset.directory}: the model needs '{extra.name}' of each image, which these records do not hold. "
                "Write the records again from annotations that have it."
            )
    for ours in detector.properties:
        theirs = dataset.property(ours.name)
        if theirs is not None and (mismatch := theirs.mismatch(ours)):
            raise UsageError(
                f"{dataset.directory}: records and model do not mean the same {ours.name}: {mismatch}. Write the "
                "records again as the model has them, or train a model on these."
            )
    return dataset.with_properties(one for one in detector.properties if dataset.property(one.name) is None)


def detect_records(
    detector: Detector, dataset: Dataset, batch_size: int = 8, advance: Callable[[int], None] = lambda count: None
) -> Iterator[tuple[Record, Detections]]:
    """Runs a detector over records, in their order.

    Args:
        detector: With the classes of the records.
        dataset: Records.
        batch_size: Images at the same time.
        advance: Called with 1 after each image.

    Yields:
        Each record and all peaks found in its image, in its pixels.

    Raises:
        UsageError: The classes differ, or as in `with_properties`.
        DataError: A record is damaged, or frames of a video differ in size.
    """
    for record, found, _ in _search(detector, dataset, batch_size, advance):
        yield record, found


def _search(
    detector: Detector, dataset: Dataset, batch_size: int, advance: Callable[[int], None]
) -> Iterator[tuple[Record, Detections, Detections | None]]:
    """`detect_records`, and what a model that associates tells of each frame of a video; None of single images."""
    check_classes(detector, dataset)
    records = iterate(with_properties(dataset, detector))
    tasks = getattr(detector, "tasks", None)  # runners of exports have none: they know single images only
    follows = tasks is not None and tasks.associate is not None
    # Frames of a video follow one another in a shard.
    for video, group in itertools.groupby(records, lambda record: record.video if follows else ""):
        search = _search_frames if video else _search_images
        for one in search(detector, group, batch_size):
            yield one
            advance(1)


def _search_images(
    detector: Detector, records: Iterator[Record], batch_size: int
) -> Iterator[tuple[Record, Detections, None]]:
    names = [extra.name for extra in detector.extras]
    entries = ((record, record.image, {name: record.rows[name] for name in names}) for record in records)
    for record, _, found in detector.search(entries, threshold=0.0, batch_size=batch_size):
        yield record, found, None


def _search_frames(
    detector: Detector, records: Iterator[Record], batch_size: int
) -> Iterator[tuple[Record, Detections, Detections]]:
    """The frames of one video in order."""
    first = next(records)
    extras = {extra.name: first.rows[extra.name] for extra in detector.extras}
    waiting: collections.deque[Record] = collections.deque()
    found: collections.deque[Detections] = collections.deque()

    def images() -> Iterator[bytes]:
        for record in itertools.chain([first], records):
            _check_alike(first, record, extras)
            waiting.append(record)
            yield record.image

    for told in follow(detector, images(), 0.0, batch_size, extras, keep=found.append):
        yield waiting.popleft(), found.popleft(), told


def _check_alike(first: Record, record: Record, extras: Mapping[str, Any]) -> None:
    if record.size != first.size:
        raise DataError(
            f"{record.filename}: {record.width}x{record.height} pixels, but {first.filename} of the same video "
            f"{first.video} has {first.width}x{first.height}. A video has frames of one size: give the parts names of "
            "their own."
        )
    for name, value in extras.items():
        if not np.array_equal(value, record.rows[name]):
            raise DataError(
                f"{record.filename}: another {name} than {first.filename}, a frame of the same video {first.video}. A "
                "video has one for all its frames: give the parts names of their own."
            )


def evaluate(
    detector: Detector,
    dataset: Dataset,
    batch_size: int = 8,
    advance: Callable[[int], None] = lambda count: None,
    **options: Any,
) -> Scores:
    """Scores a detector on records; arguments and errors as `detect_records` and `score` have them."""
    dataset = with_properties(dataset, detector)
    found = _search(detector, dataset, batch_size, advance)
    measured = [dataset.property(one.name).scored_as(one) for one in detector.properties]
    return score(found, dataset.classes, measured, max(MOST, detector.limit), **options)


def pictures(scores: Scores, dataset: Dataset) -> dict[str, np.ndarray]:
    """{end of a file's name: picture [H, W, 3] uint8 RGB}: what the metrics of properties have to show."""
    wanted = {number for one in scores.scores for number in one.shown}
    images = {number: as_image(record.image) for number, record in records_of(dataset, wanted).items()}
    return _joined(*(one.pictures(images) for one in scores.scores))


def records_of(dataset: Dataset, ids: Collection[int]) -> dict[int, Record]:
    """{image_id: record} of some images, in the order of `ids`."""
    found = {record.image_id: record for record in iterate(dataset) if record.image_id in ids} if ids else {}
    return {number: found[number] for number in ids}


def score(
    results: Iterable[tuple[Record, Detections] | tuple[Record, Detections, Detections | None]],
    names: Sequence[str],
    properties: Sequence[Property],
    most: int = MOST,
    digits: int | None = None,
    **options: Any,
) -> Scores:
    """Scores what was found in the images of records.

    Args:
        results: Each record, and what was found in its image; of frames of a video also what was told of it when it
            was followed, which is what properties are measured by that are found in no single image.
        names: Of the classes.
        properties: Of the records; those that are found too.
        most: Detections of an image and class that COCO's AP looks at, see `metrics.coco.CocoBoxes`.
        digits: Decimals that boxes and scores are rounded to first; None rounds nothing.
        options: Of `Property.metrics`, such as iou; those that are None are left out.

    Raises:
        UsageError: An option means nothing to any of the properties, or is wrong.
        DataError: There are no records.
    """
    coco, voc = CocoBoxes(names, most, digits), VocBoxes(names)
    metrics = _metrics(names, properties, digits, options)
    for record, found, *further in results:
        rows, truth = found.rows_at_pixels, record.truth()
        told = further[0].rows_at_pixels if further and further[0] is not None else rows
        # As pycocotools and VOC's development kit score them: as annotated, also beyond the image's edge.
        truth["boxes"] = truth.pop("full_boxes")
        boxes = as_crowd({name: truth[name] for name in _BOXES}, len(names))
        coco.add(record.image_id, rows, boxes)
        voc.add(record.image_id, rows, boxes)
        key = ImageKey(record.image_id, record.video, record.frame)
        for one, metric in metrics:
            metric.alone(key, rows)
            single = all(field.name in rows for field in one.fields if field.level == "object")
            metric.update(key, rows if single else told, truth)
    scores = (metric.result() for _, metric in metrics)
    return Scores(coco.result(), voc.result(), tuple(one for one in scores if one is not None), coco)


def _metrics(
    names: Sequence[str], properties: Sequence[Property], digits: int | None, options: Mapping[str, Any]
) -> list[tuple[Property, Metric]]:
    given = {name: value for name, value in options.items() if value is not None}
    # Every property takes any option, so that new ones break none; those that it makes use of it names.
    used = {name for one in properties for name in inspect.signature(one.metrics).parameters}
    for name in given:
        if name not in used:
            scored = ", ".join(["boxes", *(one.name for one in properties)])
            raise UsageError(
                f"--{name} {given[name]}: it does not apply to what is evaluated here ({scored}). Leave it out."
            )
    return [(one, metric) for one in properties for metric in one.metrics(names, digits=digits, **given)]


def _joined(*parts: Mapping[str, Any]) -> dict[str, Any]:
    """All keys of several tables.

    Raises:
        ValueError: Two of them share a key, so that one would hide the other.
    """
    joined: dict[str, Any] = {}
    for part in parts:
        if both := joined.keys() & part.keys():
            raise ValueError(f"Two scores are called {', '.join(sorted(both))}. Rename one of them.")
        joined |= part
    return joined
