"""What can be wrong with cameras and boxes in space, and how they are spread."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from centernet_tf.geometry.boxes import overlaps
from centernet_tf.geometry.camera import as_camera, corners, project, wrap
from centernet_tf.inspect.findings import Notebook

# Below this overlap, the box in the image is not the outline of the box in space; KITTI's own labels reach 0.9.
AGREE = 0.5
_TURNED = 0.3  # radians; KITTI's own labels are rounded, and its camera stands a little aside
_NEAR = 0.1  # metres; what lies nearer has no outline in the image


class SolidSurvey:
    """Adds up the cameras and boxes in space of one image at a time.

    Attributes:
        depths: Distances of the sound boxes, arrays of metres.
        neutral: Neutral objects, by the name their source gives them.
    """

    def __init__(self, wanted: bool, notebook: Notebook) -> None:
        """Starts without images; `wanted` where the data set says that it has cameras."""
        self.wanted, self.notebook = wanted, notebook
        self.depths: list[np.ndarray] = []
        self.neutral: Counter[str] = Counter()

    def add(
        self,
        name: str,
        camera: np.ndarray | None,
        solids: np.ndarray | None,
        boxes: np.ndarray,
        size: tuple[int, int],
    ) -> None:
        """Takes in the boxes in space of an image.

        Args:
            name: Of the image.
            camera: [3, 4]; None where there is none.
            solids: [N, 8] as in `Record`; None where their lists do not fit the boxes.
            boxes: [N, 4] left, top, right, bottom in pixels.
            size: Width and height of the image, pixels.
        """
        if not self.wanted:
            return
        try:
            camera = as_camera(() if camera is None else camera)
        except ValueError:
            self.notebook.add("bad_camera", name if camera is None else f"{name}: {np.round(camera, 2).tolist()}")
            return
        if solids is None:
            self.notebook.add("bad_solid", f"{name}: lists of another length than the boxes", max(len(boxes), 1))
            return
        finite = np.isfinite(solids)
        with np.errstate(invalid="ignore"):
            bad = (finite.any(axis=1) & ~finite.all(axis=1)) | (solids[:, 1:4] <= 0).any(axis=1) | (solids[:, 6] <= 0)
        if bad.any():
            self.notebook.add("bad_solid", f"{name}: {np.round(solids[bad][0], 2).tolist()}", bad.sum())
        sound = finite.all(axis=1) & ~bad
        self.depths.append(solids[sound, 6])
        alpha, x, z, rotation = (solids[sound, column] for column in (0, 4, 6, 7))
        turned = np.abs(wrap(rotation - np.arctan2(x, z) - alpha)) > _TURNED
        if turned.any():
            text = f"{name}: alpha {alpha[turned][0]:.2f}, rotation_y {rotation[turned][0]:.2f}"
            self.notebook.add("alpha_off", f"{text} at x {x[turned][0]:.1f}, z {z[turned][0]:.1f}", turned.sum())
        points = corners(solids[sound, 4:7], solids[sound, 1:4], solids[sound, 7])  # [S, 8, 3]
        seen = (points[..., 2] > _NEAR).all(axis=1) & np.isfinite(boxes[sound]).all(axis=1)
        pixels = project(points[seen], np.broadcast_to(camera, (int(seen.sum()), 3, 4)))
        outline = np.clip(np.concatenate([pixels.min(axis=1), pixels.max(axis=1)], axis=1), 0, np.tile(size, 2))
        common = [overlaps(one[None], other[None])[0, 0] for one, other in zip(outline, boxes[sound][seen])]
        off = np.flatnonzero(np.array(common) < AGREE)
        if len(off):
            one, other = np.round(outline[off[0]]).tolist(), np.round(boxes[sound][seen][off[0]]).tolist()
            self.notebook.add("solid_off", f"{name}: box {other}, outline {one}", len(off))

    def add_neutral(self, neutral: np.ndarray, names: Sequence[str]) -> None:
        """Counts neutral objects [N]; names are as many, or none."""
        rows = np.flatnonzero(neutral)
        self.neutral.update(names[row] or "unnamed" if len(names) == len(neutral) else "unnamed" for row in rows)
