"""3D boxes: where an object stands in space, in metres before the camera, how large it is and where it points."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from centernet_tf.properties.boxes3d import draw, kitti_files, records, survey
from centernet_tf.properties.boxes3d.distances import DepthErrors
from centernet_tf.properties.boxes3d.kitti import KittiBoxes3d
from centernet_tf.properties.fields import Field
from centernet_tf.properties.metric import Metric
from centernet_tf.properties.notebook import Notebook
from centernet_tf.properties.property import Answer, Fault, Look, Property, ResultFiles, Rows, Size, Survey


class Boxes3d(Property):
    """A box in the frame of the camera (x right, y down, z ahead, metres), as KITTI has it.

    Rows: "camera" [3, 4] float32 of the image, metres to pixels; "has_box3d" [N] bool, where the rest is known and not
    0; "alphas" [N] observation angle and "rotations" [N] about y in radians; "dimensions" [N, 3] height, width, length;
    "locations" [N, 3] x, y, z of the middle of the bottom face; "depths" [N] their z; "middles" [N, 2] x, y in pixels
    of the box's middle; "truncated" [N] fraction of the object outside the image, "occluded" [N] KITTI's 0 to 3.
    """

    name = "boxes3d"
    keys = records.KEYS
    answers = (
        Answer(
            "locations",
            "detection_3d_locations",
            "metres",
            "x, y, z in metres of the middle of the bottom face, in the camera's frame",
            "3d location",
        ),
        Answer("dimensions", "detection_3d_dimensions", "metres", "height, width, length in metres", "3d dimensions"),
        Answer("rotations", "detection_3d_rotations", "angles", "about the camera's y axis in radians", "3d rotation"),
        Answer("alphas", "detection_alphas", "angles", "orientation as seen from the camera, in radians", "alpha"),
    )
    checks = survey.CHECKS
    broken = "bad_box3d"
    result_files: ClassVar = {
        "kitti": ResultFiles(".txt", kitti_files.write_rows, kitti_files.holds_results, kitti_files.read)
    }

    @property
    def fields(self) -> tuple[Field, ...]:
        return records.FIELDS

    def unpack(self, lists: Rows, boxes: np.ndarray, size: Size) -> Rows:
        return records.unpack(lists, len(boxes))

    def pack(self, rows: Rows, size: Size) -> dict[str, Sequence[Any]]:
        return records.pack(rows)

    def fill(self, rows: Rows, count: int) -> Rows:
        return records.complete(super().fill(rows, count))

    def faults(self, rows: Rows, size: Size) -> list[Fault | None]:
        return records.faults(rows)

    def image_fault(self, rows: Rows) -> Fault | None:
        return records.image_fault(rows)

    def survey(self, notebook: Notebook) -> Survey:
        return survey.Boxes3dSurvey(notebook)

    def outlined(self, rows: Rows) -> np.ndarray | None:
        return draw.outlined(rows)

    def labels(self, labels: Sequence[str], rows: Rows) -> list[str]:
        return draw.with_distances(labels, rows)

    def draw(self, canvas: np.ndarray, rows: Rows, look: Look) -> np.ndarray:
        return draw.draw_rows(canvas, rows, look)

    def panel(self, rows: Rows, look: Look, side: int) -> np.ndarray | None:
        return draw.birds_eye_of(rows, look, side)

    def to_json(self, rows: Rows, digits: int | None) -> list[dict[str, Any]]:
        return records.to_json(rows, digits)

    def columns(self) -> dict[str, tuple[str, ...]]:
        return records.TABLE

    def to_centernet(self, table: np.ndarray, rows: Rows) -> np.ndarray:
        return records.to_centernet(table, rows)

    def image_to_json(self, rows: Rows) -> dict[str, Any]:
        return records.image_to_json(rows)

    def metrics(
        self, names: Sequence[str], digits: int | None = None, iou: str = "original", **options: Any
    ) -> list[Metric]:
        return [KittiBoxes3d(names, iou=iou, digits=digits), DepthErrors(digits=digits)]
