"""Scores a detector on records: COCO's AP and VOC 2007's of boxes, COCO's of joints, KITTI's of 3D boxes."""

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from centernet_tf.data.records import Dataset, Record, iterate
from centernet_tf.detector import Detector
from centernet_tf.errors import UsageError
from centernet_tf.metrics.coco import CocoBoxes, CocoScores
from centernet_tf.metrics.distances import DepthErrors, DistanceScores
from centernet_tf.metrics.kitti import KittiSolids, SolidScores
from centernet_tf.metrics.neutral import as_crowd
from centernet_tf.metrics.oks import CocoJoints, JointScores
from centernet_tf.metrics.pck import CorrectKeypoints, PckScores
from centernet_tf.metrics.voc import VocBoxes, VocScores
from centernet_tf.results import Detections
from centernet_tf.skeleton import Skeleton


@dataclasses.dataclass(frozen=True)
class Scores:
    """What `evaluate` found.

    Attributes:
        coco: AP over overlaps 0.50 to 0.95, and the rest of COCO's numbers.
        voc: AP at overlap 0.5 in Pascal VOC 2007's way.
        joints: COCO's AP of the joints; None where the model finds none or the records have none.
        pck: How many joints are placed right; likewise.
        solids: KITTI's AP of the 3D boxes; likewise.
        distances: Errors of their depths by distance; likewise.
    """

    coco: CocoScores
    voc: VocScores
    joints: JointScores | None = None
    pck: PckScores | None = None
    solids: SolidScores | None = None
    distances: DistanceScores | None = None

    @property
    def main(self) -> dict[str, float]:
        """The one number of each thing that is found, boxes first; NaN where nothing is annotated."""
        return {
            "AP": self.coco.summary["AP"],
            **({"OKS AP": self.joints.summary["AP"]} if self.joints else {}),
            **({"3D AP": self.solids.main} if self.solids else {}),
        }


def with_joints(dataset: Dataset, skeleton: Skeleton | None) -> Dataset:
    """Records that do not name their joints, with the skeleton of the model that is scored on them."""
    return dataset if dataset.skeleton or not skeleton else dataclasses.replace(dataset, skeleton=skeleton)


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


def detect_records(
    detector: Detector, dataset: Dataset, batch: int = 8, advance: Callable[[int], None] = lambda count: None
) -> Iterator[tuple[Record, Detections]]:
    """Runs a detector over records, in their order.

    Args:
        detector: With the classes of the records.
        dataset: Records.
        batch: Images at the same time.
        advance: Called with 1 after each image.

    Yields:
        Each record and all peaks found in its image, in its pixels.

    Raises:
        UsageError: The classes differ.
        DataError: A record is damaged.
    """
    check_classes(detector, dataset)
    _check_cameras(detector, dataset)
    # What runs ahead of the answers stays in memory: about one batch.
    records, pictures, *views = itertools.tee(iterate(dataset), 3 if detector.placed else 2)
    cameras = {"cameras": (record.camera for record in views[0])} if views else {}
    images = (record.image for record in pictures)
    for record, found in zip(records, detector.stream(images, threshold=0.0, batch=batch, **cameras)):
        yield record, found
        advance(1)


def evaluate(
    detector: Detector,
    dataset: Dataset,
    batch: int = 8,
    digits: int | None = None,
    advance: Callable[[int], None] = lambda count: None,
    protocol: str = "original",
    overlap: float | None = None,
) -> Scores:
    """Scores a detector on records; arguments and errors as `detect_records` and `score` have them."""
    found = detect_records(detector, dataset, batch, advance)
    return score(found, dataset, max(100, detector.limit), digits, protocol, overlap)


def score(
    results: Iterable[tuple[Record, Detections]],
    dataset: Dataset,
    most: int,
    digits: int | None = None,
    protocol: str = "original",
    overlap: float | None = None,
) -> Scores:
    """Scores what was found in the images of records.

    Args:
        results: Each record, and what was found in its image.
        dataset: The records.
        most: Detections of an image and class that COCO's AP looks at, see `metrics.coco.CocoBoxes`.
        digits: Likewise.
        protocol: Of 3D boxes, see `metrics.kitti.KittiSolids`.
        overlap: Likewise.

    Raises:
        UsageError: The joints differ.
        DataError: There are no records.
    """
    names = dataset.classes
    coco, voc = CocoBoxes(names, most, digits), VocBoxes(names)
    joints = CocoJoints(names, dataset.skeleton, digits=digits) if dataset.skeleton else None
    correct = CorrectKeypoints(dataset.joints)
    solids = KittiSolids(names, protocol, overlap) if dataset.solid else None
    depths = DepthErrors()
    for record, found in results:
        detections = {"boxes": found.boxes, "scores": found.scores, "classes": found.classes}
        columns = ("boxes", "classes", "crowd", "area", "difficult", "neutral", "joints")
        truth = as_crowd({name: getattr(record, name) for name in columns}, len(names))
        coco.update(record.image_id, detections, truth)
        voc.update(record.image_id, detections, truth)
        if joints is not None and "joints" in found.fields:
            _check_joints(found.skeleton, dataset)
            found_joints = {**detections, "joints": found.fields["joints"]}
            joints.update(record.image_id, found_joints, truth)
            correct.update(found_joints, truth)
        if solids is not None and found.solids is not None:
            columns = ("boxes", "classes", "neutral", "names", "solids", "truncated", "occluded")
            placed = {name: getattr(record, name) for name in columns}
            found_solids = {**detections, "solids": found.solids}
            if digits is not None:
                rounded = ("boxes", "scores", "solids")
                found_solids |= {name: np.round(found_solids[name], digits) for name in rounded}
            solids.update(record.image_id, found_solids, placed)
            depths.update(found_solids, placed)
    of_joints, of_solids = (one.result() if one is not None and one.images else None for one in (joints, solids))
    return Scores(coco.result(), voc.result(), of_joints, correct.result(), of_solids, depths.result())


def _check_cameras(detector: Detector, dataset: Dataset) -> None:
    if detector.placed and not dataset.solid:
        raise UsageError(
            f"{dataset.directory}: the model finds 3D boxes and needs the cameras of the images, which these records "
            "do not hold. Write records with cameras, such as `centernet records kitti` does."
        )


def _check_joints(skeleton: Skeleton | None, dataset: Dataset) -> None:
    """Raises UsageError where a model and records do not mean the same joints; tolerances are the records'."""
    if skeleton is not None and skeleton.joints != dataset.joints:
        raise UsageError(
            f"{dataset.directory}: the records have the joints {', '.join(dataset.joints)}, the model finds "
            f"{', '.join(skeleton.joints)}. Write the records again with the model's skeleton (--skeleton), or train a "
            "model on these."
        )
