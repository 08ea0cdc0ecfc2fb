"""Keypoints: named points of an object, such as the joints of a person, each labelled visible, hidden or not at all."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pydantic

from centernet_tf.properties.fields import Field
from centernet_tf.properties.keypoints import draw, records, survey
from centernet_tf.properties.keypoints.oks import CocoKeypoints
from centernet_tf.properties.keypoints.pck import CorrectKeypoints
from centernet_tf.properties.keypoints.skeleton import Skeleton
from centernet_tf.properties.metric import Metric
from centernet_tf.properties.notebook import Notebook
from centernet_tf.properties.property import Answer, Fault, Look, Property, Rows, Size, Survey


class Keypoints(Property):
    """The J keypoints of a skeleton.

    Rows: "keypoints" [N, J, 2] float32 x, y in pixels of the image, which may lie outside it, 0 where unlabelled, and
    "keypoint_labels" [N, J] int32, 0 unlabelled, 1 hidden, 2 visible. What a model finds has "keypoint_scores" [N, J]
    float32 in 0..1 instead of labels.
    """

    name = "keypoints"
    keys = records.KEYS
    answers = (
        Answer(
            "keypoints", "detection_keypoints", "points", "y, x of each keypoint as fractions of the image", "keypoint"
        ),
        Answer(
            "keypoint_scores", "detection_keypoint_scores", "scores", "score of each keypoint in 0..1", "keypoint score"
        ),
    )
    checks = survey.CHECKS
    broken = "bad_keypoints"
    coco = ("keypoints",)

    skeleton: Skeleton
    """Names, mirrored pairs, limbs and tolerances of the keypoints."""

    classes: tuple[str, ...] | None = None
    """Names of the classes whose objects have keypoints. Null for all."""

    @pydantic.field_validator("skeleton", mode="before")
    @classmethod
    def _skeleton_by_name(cls, value: Any) -> Any:
        return Skeleton.from_dict(value) if isinstance(value, dict) else value

    @pydantic.field_serializer("skeleton")
    def _names_of_skeleton(self, value: Skeleton) -> dict[str, Any]:
        return value.as_dict()

    @property
    def fields(self) -> tuple[Field, ...]:
        return records.fields(self.skeleton)

    def unpack(self, lists: Rows, boxes: np.ndarray, size: Size) -> Rows:
        return records.unpack(lists, len(boxes), size, len(self.skeleton.keypoints))

    def pack(self, rows: Rows, size: Size) -> dict[str, Sequence[Any]]:
        return records.pack(rows, size, self.skeleton.keypoints)

    def fill(self, rows: Rows, count: int) -> Rows:
        return records.cleared(super().fill(rows, count))

    def faults(self, rows: Rows, size: Size) -> list[Fault | None]:
        return records.faults(rows, size)

    def count(self, rows: Rows, size: Size) -> dict[str, int]:
        return records.count(rows, size)

    def tell(self, counts: Mapping[str, int]) -> str:
        return records.tell(counts)

    def difference(self, other: Property) -> str:
        return survey.difference(self.skeleton, other.skeleton)

    def survey(self, notebook: Notebook) -> Survey:
        return survey.KeypointSurvey(self.skeleton, notebook)

    def draw(self, canvas: np.ndarray, rows: Rows, look: Look) -> np.ndarray:
        return draw.draw_keypoints(canvas, rows["keypoints"], records.certainty(rows), self.skeleton)

    def to_json(self, rows: Rows, digits: int | None) -> list[dict[str, Any]]:
        return records.to_json(rows, digits)

    def columns(self) -> dict[str, tuple[str, ...]]:
        return records.columns(self.skeleton)

    def to_centernet(self, table: np.ndarray, rows: Rows) -> np.ndarray:
        return np.column_stack([table, rows["keypoints"].reshape(len(table), -1)])

    def class_to_json(self, name: str) -> dict[str, Any]:
        return records.class_to_json(self.skeleton) if self.classes is None or name in self.classes else {}

    def mismatch(self, model: Property) -> str:
        ours, theirs = self.skeleton.keypoints, model.skeleton.keypoints
        return "" if ours == theirs else f"the records have {', '.join(ours)}, the model finds {', '.join(theirs)}"

    def metrics(self, names: Sequence[str], digits: int | None = None, **options: Any) -> list[Metric]:
        return [CocoKeypoints(names, self.skeleton, digits=digits), CorrectKeypoints(self.skeleton.keypoints)]
