"""Keypoints: where each lies from the centre, and heatmaps that place it exactly (Objects as Points, section 4.2)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pydantic

from centernet_tf import losses
from centernet_tf.errors import UsageError, closest
from centernet_tf.points.centers import HEATMAP_BIAS, Centers
from centernet_tf.points.task import Find, Head, Task, TaskSettings, Term
from centernet_tf.properties.fields import ROTATED, SHARED
from centernet_tf.properties.keypoints import Keypoints
from centernet_tf.properties.keypoints.skeleton import COCO_PERSON, DEFAULT_SIGMA, Skeleton, read_skeleton
from centernet_tf.tasks.pose import decode, targets
from centernet_tf.tasks.pose.mirror import MirrorOffsets, MirrorScores


class Pose(TaskSettings):
    """Objects as a box and the keypoints of a skeleton, each with a score."""

    official: ClassVar[Mapping[str, str]] = {
        "hps": "keypoints",
        "hm_hp": "keypoint_heatmap",
        "hp_offset": "keypoint_offset",
    }

    # Without its heatmap, a keypoint lies where the centre says; without an offset, in the middle of its cell.
    absent: ClassVar[Mapping[str, float]] = {"hm_hp": -20.0, "hp_offset": 0.5}

    skeleton: Skeleton | None = None
    """The keypoints: a YAML file, or what it holds, {keypoints: [nose, left_eye, right_eye]}. Null for those of the
    records; sigmas are the records' in any case.
    """

    classes: tuple[str, ...] | None = None
    """Names of the classes whose objects have keypoints. Null for all."""

    peak_threshold: float = pydantic.Field(decode.THRESHOLD, ge=0, le=1)
    """Score from which a peak of a keypoint's heatmap counts. CenterTrack: 0.2."""

    peak_reach: float | None = pydantic.Field(decode.REACH, gt=0)
    """How far a keypoint moves to a peak at most, as a part of the longer side of its object's box. Null for anywhere
    in the box, as in CenterTrack.
    """

    @pydantic.field_validator("skeleton", mode="before")
    @classmethod
    def _read_skeleton(cls, value: Any) -> Any:
        if isinstance(value, str | Path):
            return read_skeleton(value)
        return Skeleton.from_dict(value) if isinstance(value, dict) else value

    @pydantic.field_serializer("skeleton")
    def _names_of_skeleton(self, value: Skeleton | None) -> dict[str, Any] | None:
        return value.as_dict() if value else None

    @pydantic.field_validator("classes")
    @classmethod
    def _some_class(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if value == ():
            raise ValueError("no object would have keypoints. Name classes, or leave it out for all")
        return value

    def complete(self, records: Any) -> "Pose":
        known = records.property("keypoints")
        if self.skeleton is None and known is None:
            raise UsageError(
                f"{records.directory}: its dataset.yaml has no keypoints, which task 'pose' needs. Write the records "
                "with keypoints; where they hold keypoints by other names, set pose.skeleton to a YAML file that lists "
                "these."
            )
        skeleton = self.skeleton or known.skeleton
        if known and skeleton.keypoints != known.skeleton.keypoints:
            raise UsageError(
                f"pose.skeleton: keypoints {', '.join(skeleton.keypoints)}, but {records.directory} has "
                f"{', '.join(known.skeleton.keypoints)}. Leave the setting out, or correct it."
            )
        if known:
            skeleton = skeleton.model_copy(update={"sigmas": self._sigmas(known.skeleton, records.directory)})
        self._numbers_of_classes(records.classes)
        return self.model_copy(update={"skeleton": skeleton})

    def _sigmas(self, known: Skeleton, directory: Path) -> tuple[float, ...]:
        """Those of the records, by which results are scored.

        Raises:
            UsageError: The setting gives others, which nothing would use.
        """
        given = self.skeleton.sigmas if self.skeleton else known.sigmas
        if given != known.sigmas and {*given} != {DEFAULT_SIGMA}:
            raise UsageError(
                f"pose.skeleton: its sigmas are not those of {directory}, by which results are scored. Leave them out "
                "of the setting, or write the records again with this skeleton (--skeleton FILE)."
            )
        return known.sigmas

    def from_heads(self, channels: Mapping[str, int], origin: Any) -> tuple["Pose", list[str]]:
        count = channels["keypoints"] // 2
        if self.skeleton and len(self.skeleton.keypoints) != count:
            raise UsageError(f"it has {count} keypoints, but the skeleton has {len(self.skeleton.keypoints)}.")
        found = {name: origin.settings[name] for name in ("peak_threshold", "peak_reach") if name in origin.settings}
        found = {name: value for name, value in found.items() if name not in self.model_fields_set}
        remarks = [f"{name} {value}, as {origin.title} was scored" for name, value in found.items()]
        if self.skeleton:
            return self.model_copy(update=found), remarks
        if "pose" in origin.tasks and count == len(COCO_PERSON.keypoints):
            return self.model_copy(update={**found, "skeleton": COCO_PERSON}), remarks
        names = tuple(f"keypoint{number + 1}" for number in range(count))
        remark = f"{count} keypoints, unlike any official data set: they are named by numbers"
        return self.model_copy(update={**found, "skeleton": Skeleton(keypoints=names)}), [*remarks, remark]

    def _numbers_of_classes(self, known: tuple[str, ...]) -> tuple[int, ...] | None:
        """Places of `classes` among the known ones.

        Raises:
            UsageError: One is unknown.
        """
        for name in self.classes or ():
            if name not in known:
                raise UsageError(
                    f"pose.classes: unknown class {name!r}.{closest(name, known)} Known: {', '.join(known)}."
                )
        return None if self.classes is None else tuple(known.index(name) for name in self.classes)

    def build(self, centers: Centers) -> Task:
        """The task.

        Raises:
            UsageError: No skeleton is known, or `classes` names one that the network does not have.
        """
        if self.skeleton is None:
            raise UsageError(
                "Task 'pose' needs a skeleton: records of objects with keypoints have one in dataset.yaml; for others, "
                "name a file of keypoint names with the setting pose.skeleton."
            )
        keypoints = Keypoints(skeleton=self.skeleton, classes=self.classes)
        count, order = len(self.skeleton.keypoints), self.skeleton.flip_order
        classes = self._numbers_of_classes(centers.class_names)

        def encode(rows: Mapping[str, Any], located: Mapping[str, Any]) -> dict[str, Any]:
            return {**centers.encode(rows, located), **targets.encode(rows, located)}

        def find(outputs: Mapping[str, Any], peaks: Mapping[str, Any]) -> dict[str, Any]:
            found = centers.decode(outputs, peaks)
            most = max(centers.max_objects, centers.candidates)
            search = decode.Search(most, self.peak_threshold, self.peak_reach)
            return {**found, **decode.decode(outputs, peaks, found["boxes"], classes, search)}

        return Task(
            name="pose",
            heads=(
                *centers.heads(),
                Head("keypoints", 2 * count, mirror=MirrorOffsets(order), at_cells=True),
                Head("keypoint_heatmap", count, bias=HEATMAP_BIAS, heatmap=True, mirror=MirrorScores(order)),
                Head("keypoint_offset", 2, at_cells=True),
            ),
            terms=(
                *centers.terms(),
                Term("keypoints", ("keypoints",), losses.masked_l1),
                Term("keypoint_heatmap", ("keypoint_heatmap",), losses.focal),
                Term("keypoint_offset", ("keypoint_offset",), centers.regression_loss),
            ),
            encode=encode,
            decode=find,
            fields=(*SHARED, *keypoints.fields, ROTATED),
            finds=(Find("keypoints", "points"), Find("keypoint_scores")),
            property=keypoints,
            boxed=targets.labelled,
        )
