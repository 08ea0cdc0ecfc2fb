"""3D boxes from one camera: depth, size and orientation of each object (Objects as Points, section 4.1)."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pydantic
from keras import ops

from centernet_tf.errors import UsageError
from centernet_tf.geometry import Window
from centernet_tf.geometry.camera import DEFAULT_CAMERA, as_camera, move_camera
from centernet_tf.losses import masked_l1
from centernet_tf.points.centers import Centers
from centernet_tf.points.task import Extra, Find, Head, Task, TaskSettings, Term
from centernet_tf.properties.boxes3d import Boxes3d
from centernet_tf.properties.boxes3d.cameras import Cameras
from centernet_tf.properties.fields import JITTERED, SHARED, ZOOM
from centernet_tf.tasks.box3d import decode, losses, targets

SEEN = 200  # Records whose cameras are looked at.

CameraRow = tuple[float, float, float, float]


def negated_x(values: Any) -> Any:
    """[B, h, w, 2] (x, y) of a mirror image as of the image."""
    return values * ops.cast(np.float32([-1, 1]), values.dtype)


def read_cameras(path: Path) -> Callable[[str], np.ndarray]:
    """A function from an image's name to its camera [3, 4]; the path is that of a file for all, or of a folder."""
    return Cameras(path).of


class Box3d(TaskSettings):
    """Objects with 3D boxes in the camera's frame, and 2D boxes.

    Errors of depth, dimensions, and where no other task has them, offset and size are divided by `max_objects`, however
    many objects an image has, as in the original. Beside another task, offset and size are divided by the objects that
    there are, as that task's original does; the original trains 3D boxes alone.
    """

    official: ClassVar[Mapping[str, str]] = {"dep": "depth", "rot": "rotation", "dim": "dimensions"}
    companions: ClassVar[Mapping[str, str]] = {"amodel_offset": "amodal_offset"}

    size: bool = True
    """Learn the box in the image, too. Without it, it is the one around the corners in space, unless another task has
    one.
    """

    amodal_offset: bool = False
    """Learn how far the projected 3D centre is from the centre of the 2D box, for objects that are near or cut off by
    the image's edge. The original takes one for the other.
    """

    rules: Literal["CenterNet", "CenterTrack"] = "CenterNet"
    """How depths, dimensions and amodal offsets are learnt. CenterNet divides errors by max_objects, and learns neither
    depths nor dimensions in images that augmentation scaled or moved. CenterTrack divides by the objects that have
    them, learns depths in all images, divided by how much larger these are shown, and amodal offsets from the corner of
    the cell, although they are added to the centre of the box.
    """

    window: Window = "width"
    """Which side of an image fills the input's width. By its width alone, sizes tell the depth in portrait images, too,
    and what lies above and below the input is not seen. Beside another task it is the longer side.
    """

    shifted_sizes: bool = False
    """Sizes in the image get what an image is shifted by on its way back from the input, as in the original: 1.2 pixels
    more height in KITTI's images, 144 in those of 640 x 480. Converted checkpoints have it, for published scores are of
    such boxes.
    """

    camera: tuple[CameraRow, CameraRow, CameraRow] | None = None
    """Camera matrix, 3x4 or 3x3 numbers, of images whose own is not given. Null for the median of the records'."""

    @pydantic.field_validator("camera", mode="before")
    @classmethod
    def _checked_camera(cls, value: Any) -> Any:
        return None if value is None else as_camera(value).tolist()

    def complete(self, records: Any) -> "Box3d":
        if records.property("boxes3d") is None:
            raise UsageError(
                f"{records.directory}: it has no cameras and 3D boxes, which task 'box3d' needs. Write records with "
                "`centernet records kitti`, or take another task."
            )
        if self.camera is not None:
            return self
        cameras = [record.rows["camera"] for record in records.head(SEEN)]
        return type(self).model_validate({**self.model_dump(), "camera": np.median(cameras, axis=0)})

    def from_heads(self, channels: Mapping[str, int], origin: Any) -> tuple["Box3d", list[str]]:
        found: dict[str, Any] = {"size": "size" in channels, "amodal_offset": "amodal_offset" in channels}
        if found["amodal_offset"] and "rules" not in self.model_fields_set:
            found["rules"] = "CenterTrack"  # whose checkpoints alone have the head
        remarks = []
        if self.camera is None:
            found["camera"] = type(self)(camera=origin.settings.get("camera", DEFAULT_CAMERA)).camera
            whose = origin.title if "camera" in origin.settings else "KITTI"
            remarks.append(f"camera of images whose own is not given: the one that the original assumes, {whose}'s")
        if found["size"] and not found["amodal_offset"] and "shifted_sizes" not in self.model_fields_set:
            found["shifted_sizes"] = True
            remarks.append(
                "sizes in the image get the shift of its fit, as in the original: right to 1.2 pixels for KITTI's "
                "images, wrong for those of other sides; --set shifted_sizes=false leaves it out"
            )
        return self.model_copy(update=found), remarks

    def build(self, centers: Centers) -> Task:
        if centers.of_whole_boxes and not self.size:
            raise UsageError(f"{', '.join(centers.of_whole_boxes)}: without size there is no box. Leave them out.")
        unused = () if self.size else ("size",)
        boxes3d = Boxes3d()
        tracked = self.rules == "CenterTrack"
        wanted = ("depths", "dimensions", "alphas", "has_box3d", *(["middles"] if self.amodal_offset else []))

        def encode(rows: Mapping[str, Any], located: Mapping[str, Any]) -> dict[str, Any]:
            made = {**centers.encode(rows, located), **targets.encode(rows, located, centers.max_objects, tracked)}
            if self.amodal_offset:
                made["amodal_offset"] = targets.amodal_offset(rows, located, tracked)
            return {name: target for name, target in made.items() if name not in unused}

        def find(outputs: Mapping[str, Any], peaks: Mapping[str, Any]) -> dict[str, Any]:
            if self.size:
                found = centers.decode(outputs, peaks)
            else:
                found = {"scores": peaks["scores"], "classes": peaks["classes"]}
            return {**found, **decode.decode(outputs, peaks)}

        return Task(
            name="box3d",
            heads=(
                *(head for head in centers.heads() if head.name not in unused),
                Head("depth", 1, at_cells=True),
                Head("rotation", 8, at_cells=True),
                Head("dimensions", 3, at_cells=True),
                *([Head("amodal_offset", 2, mirror=negated_x, at_cells=True)] if self.amodal_offset else []),
            ),
            terms=(
                *(term for term in centers.terms() if term.name not in unused),
                Term("depth", ("depth",), losses.depth, ideal=targets.ideal_depth),
                Term("rotation", ("rotation",), losses.rotation, ideal=targets.ideal_rotation),
                Term("dimensions", ("dimensions",), masked_l1),
                *([Term("amodal_offset", ("amodal_offset",), masked_l1)] if self.amodal_offset else []),
            ),
            encode=encode,
            decode=find,
            fields=(
                *SHARED,
                *(field for field in boxes3d.fields if field.name in wanted),
                ZOOM if tracked else JITTERED,
            ),
            finds=(
                Find("depths"),
                Find("dimensions"),
                Find("alphas"),
                Find("middles", "points"),
                Find("locations"),
                Find("rotations"),
            ),
            property=boxes3d,
            extras=(self._camera(),),
            place=decode.place,
            anchor="middles",
            whole_sides=False,
            every_row=True,
            window=self.window,
            shifted_sizes=self.shifted_sizes and self.size,
        )

    def _camera(self) -> Extra:
        return Extra(
            "camera",
            (3, 4),
            usual=self.camera,
            check=as_camera,
            fit=move_camera,
            read=read_cameras,
            meaning="[3, 4] the image's camera matrix, metres in the camera's frame to pixels of the image",
        )
