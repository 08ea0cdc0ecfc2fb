"""What can be wrong with cameras and 3D boxes of records, and how their distances are spread."""

from typing import Any

import numpy as np

from centernet_tf.geometry.boxes import box_iou
from centernet_tf.geometry.camera import corners, project, wrap
from centernet_tf.properties.boxes3d import records
from centernet_tf.properties.metric import SINGLE, ImageKey
from centernet_tf.properties.notebook import AGAIN, Check, Notebook
from centernet_tf.properties.property import Rows, Size, Survey

# Below this IoU, the box in the image is not the outline of the 3D box; KITTI's own labels reach 0.9.
AGREE = 0.5
_TURNED = 0.3  # radians; KITTI's own labels are rounded, and its camera stands a little aside
_NEAR = 0.1  # metres; what lies nearer has no outline in the image

CHECKS = {
    "bad_camera": Check("error", "images without a usable camera", f"Correct the calibration. {AGAIN}."),
    "bad_box3d": Check(
        "error",
        "3D boxes of zero size, behind the camera, or not finite",
        "Correct the annotations and write again.",
    ),
    "box3d_off": Check(
        "warning",
        "3D boxes whose projection does not match their 2D boxes",
        "Check that calibration and annotations belong to these images.",
    ),
    "alpha_off": Check(
        "warning",
        "orientations (alpha) that contradict rotation_y and location",
        "alpha is rotation_y - atan2(x, z). Correct the annotations and write again.",
    ),
}


class Boxes3dSurvey(Survey):
    """Adds up the cameras and 3D boxes of one image at a time.

    Attributes:
        depths: Distances of the sound boxes, arrays of metres.
    """

    def __init__(self, notebook: Notebook) -> None:
        self.notebook = notebook
        self.depths: list[np.ndarray] = []

    def add(self, name: str, rows: Rows, size: Size, image: ImageKey = SINGLE) -> None:
        """Takes in the 3D boxes of an image."""
        stored, has = records.columns(rows).astype(np.float64), records.known(rows)
        with np.errstate(invalid="ignore"):
            bad = has & ((stored[:, 1:4] <= 0).any(axis=1) | (stored[:, 6] <= 0))
        if bad.any():
            self.notebook.add("bad_box3d", f"{name}: {np.round(stored[bad][0], 2).tolist()}", bad.sum())
        sound = has & ~bad
        self.depths.append(stored[sound, 6])
        self._compare_angles(name, stored[sound])
        self._compare_outlines(name, stored[sound], rows["boxes"][sound], rows["camera"], size)

    def _compare_angles(self, name: str, stored: np.ndarray) -> None:
        """Notes orientations [S, 8] that contradict each other."""
        alpha, x, z, rotation = (stored[:, column] for column in (0, 4, 6, 7))
        turned = np.abs(wrap(rotation - np.arctan2(x, z) - alpha)) > _TURNED
        if turned.any():
            text = f"{name}: alpha {alpha[turned][0]:.2f}, rotation_y {rotation[turned][0]:.2f}"
            self.notebook.add("alpha_off", f"{text} at x {x[turned][0]:.1f}, z {z[turned][0]:.1f}", turned.sum())

    def _compare_outlines(
        self, name: str, stored: np.ndarray, boxes: np.ndarray, camera: np.ndarray, size: Size
    ) -> None:
        """Notes boxes [S, 4] in pixels that are not the outlines of their 3D boxes [S, 8]."""
        points = corners(stored[:, 4:7], stored[:, 1:4], stored[:, 7])  # [S, 8, 3]
        seen = (points[..., 2] > _NEAR).all(axis=1) & np.isfinite(boxes).all(axis=1)
        pixels = project(points[seen], np.broadcast_to(camera, (int(seen.sum()), 3, 4)))
        outline = np.clip(np.concatenate([pixels.min(axis=1), pixels.max(axis=1)], axis=1), 0, np.tile(size, 2))
        common = [box_iou(one[None], other[None])[0, 0] for one, other in zip(outline, boxes[seen])]
        off = np.flatnonzero(np.array(common) < AGREE)
        if len(off):
            one, other = np.round(outline[off[0]]).tolist(), np.round(boxes[seen][off[0]]).tolist()
            self.notebook.add("box3d_off", f"{name}: box {other}, outline {one}", len(off))

    def facts(self) -> dict[str, str]:
        """The spread of the distances."""
        depths = np.concatenate([np.zeros(0), *self.depths])
        if not len(depths):
            return {}
        low, high, median = (round(float(value), 2) for value in (depths.min(), depths.max(), np.median(depths)))
        return {"distances": f"{low:g} to {high:g} m, median {median:g} m"}

    def as_dict(self) -> dict[str, Any]:
        """ "depths": their "low", "median", "mean" and "high" in metres; None without any."""
        depths = np.concatenate([np.zeros(0), *self.depths])
        if not len(depths):
            return {"depths": None}
        figures = {"low": depths.min(), "median": np.median(depths), "mean": depths.mean(), "high": depths.max()}
        return {"depths": {name: round(float(value), 2) for name, value in figures.items()}}
