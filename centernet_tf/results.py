"""What a detector found in one image, as arrays in pixels of that image, and the forms that other tools take."""

import dataclasses
import operator
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from centernet_tf.draw import class_colors, draw_boxes
from centernet_tf.draw_joints import draw_joints
from centernet_tf.draw_solids import beside, birds_eye, draw_solids
from centernet_tf.errors import DataError, closest
from centernet_tf.skeleton import Skeleton


class Detection(NamedTuple):
    """One object.

    Attributes:
        box: [4] float32, left, top, right, bottom in pixels of the original image.
        score: Confidence from 0 to 1.
        class_index: 0-based.
        name: Name of that class.
        fields: The object's row of every further array.
    """

    box: np.ndarray
    score: float
    class_index: int
    name: str
    fields: dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Detections:
    """All objects found in one image. The arrays are copies and cannot be written to.

    `detections[mask]`, `detections[:5]` and `detections[[0, 3]]` are Detections again; `detections[0]` and iteration
    give one `Detection` each.

    Attributes:
        boxes: [K, 4] float32, left, top, right, bottom in pixels of the original image, not clipped to it.
        scores: [K] float32, confidence from 0 to 1.
        classes: [K] int64, 0-based indices into `names`.
        names: Name of every class that the detector knows.
        image_size: (width, height) of the original image in pixels.
        fields: Further arrays [K, ...] of other tasks by name, such as "joints" [K, J, 2], x and y in pixels, with
            "joint_scores" [K, J]; or "locations" [K, 3], x, y, z of the middle of the bottom face in metres in the
            camera's frame, "dimensions" [K, 3], height, width, length, "rotations" and "alphas" [K] in radians.
        skeleton: Names and limbs of the joints; None where there are none.
        camera: [3, 4] float32, metres to pixels of the original image; None where nothing is told in metres.

    Raises:
        ValueError: Shapes disagree, a number is NaN or infinite, or a class has no name.
    """

    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray
    names: tuple[str, ...]
    image_size: tuple[int, int]
    fields: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    skeleton: Skeleton | None = None
    camera: np.ndarray | None = None

    def __post_init__(self) -> None:
        values = {
            "boxes": np.array(self.boxes, np.float32),
            "scores": np.array(self.scores, np.float32),
            "classes": _whole_numbers(self.classes),
            "names": tuple(self.names),
            "image_size": tuple(map(operator.index, self.image_size)),
            "fields": {name: np.array(values) for name, values in self.fields.items()},
            "camera": None if self.camera is None else np.array(self.camera, np.float32),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)
        self._check()
        cameras = () if self.camera is None else (self.camera,)
        for array in (self.boxes, self.scores, self.classes, *self.fields.values(), *cameras):
            array.flags.writeable = False

    def _check(self) -> None:
        count = len(self.boxes) if self.boxes.ndim else 0
        expected = {"boxes": (count, 4), "scores": (count,), "classes": (count,)}
        for name, shape in expected.items():
            if (came := getattr(self, name).shape) != shape:
                raise ValueError(f"Detections: {name} have shape {came}, expected {shape}: one row per box.")
        for name, values in {"boxes": self.boxes, "scores": self.scores, **self.fields}.items():
            if values.shape[:1] != (count,):
                raise ValueError(f"Detections: field {name!r} has shape {values.shape}, expected {count} rows.")
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                rows = np.unique(np.argwhere(~np.isfinite(values))[:, 0]).tolist()
                raise ValueError(f"Detections: {name} are NaN or infinite in rows {rows[:10]}. Has the model diverged?")
        joints = self.fields.get("joints")
        if joints is not None and (joints.ndim != 3 or joints.shape[2] != 2):
            raise ValueError(f"Detections: field 'joints' has shape {joints.shape}, expected [{count}, joints, 2].")
        if joints is not None and self.skeleton and joints.shape[1] != len(self.skeleton.joints):
            raise ValueError(
                f"Detections: {joints.shape[1]} joints an object, but the skeleton names {len(self.skeleton.joints)}."
            )
        if self.camera is not None and (self.camera.shape != (3, 4) or not np.isfinite(self.camera).all()):
            raise ValueError(f"Detections: the camera is {self.camera.shape}, expected finite numbers [3, 4].")
        if count and not 0 <= self.classes.min() <= self.classes.max() < len(self.names):
            raise ValueError(
                f"Detections: classes run from {self.classes.min()} to {self.classes.max()}, but "
                f"{len(self.names)} names are known. Classes are 0-based indices into names."
            )
        if len(self.image_size) != 2 or min(self.image_size) < 1:
            raise ValueError(f"Detections: image_size is {self.image_size}, expected (width, height) in pixels.")

    @classmethod
    def empty(cls, names: Sequence[str], image_size: tuple[int, int]) -> "Detections":
        """The result for an image (width, height) in which nothing was found."""
        return cls(np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64), tuple(names), image_size)

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, index: int | slice | Sequence[int] | np.ndarray) -> "Detections | Detection":
        if isinstance(index, (int, np.integer)):
            row = {name: values[index] for name, values in self.fields.items()}
            label = int(self.classes[index])
            return Detection(self.boxes[index], float(self.scores[index]), label, self.names[label], row)
        if isinstance(index, Sequence) and not len(index):
            index = slice(0)
        return dataclasses.replace(
            self,
            boxes=self.boxes[index],
            scores=self.scores[index],
            classes=self.classes[index],
            fields={name: values[index] for name, values in self.fields.items()},
        )

    def __iter__(self) -> Iterator[Detection]:
        return (self[index] for index in range(len(self)))

    def __repr__(self) -> str:
        width, height = self.image_size
        text = f"{len(self)} object{'' if len(self) == 1 else 's'} in {width}x{height} pixels"
        if len(self):
            counts = np.bincount(self.classes, minlength=len(self.names))
            text += ": " + ", ".join(
                f"{counts[i]} {self.names[i]}" for i in np.argsort(-counts, kind="stable") if counts[i]
            )
            text += f"; scores {self.scores.min():.2f} to {self.scores.max():.2f}"
        if self.fields:
            text += f"; fields {', '.join(self.fields)}"
        return f"Detections({text})"

    @property
    def class_names(self) -> list[str]:
        """The name of each object's class, K long."""
        return [self.names[index] for index in self.classes]

    @property
    def solids(self) -> np.ndarray | None:
        """[K, 8] float32 alpha, height, width, length, x, y, z, rotation_y, as KITTI orders them; None without 3D."""
        if "locations" not in self.fields:
            return None
        names = ("alphas", "dimensions", "locations", "rotations")
        return np.column_stack([self.fields[name] for name in names]).astype(np.float32)

    def above(self, threshold: float) -> "Detections":
        """The objects whose score is at least `threshold`, in the same order."""
        return self[self.scores >= threshold]

    def draw(self, image: np.ndarray, threshold: float = 0.3, from_above: bool = False) -> np.ndarray:
        """Draws boxes, names and scores, and skeletons where there are joints; the surest object lies on top.

        Where camera and locations are known, boxes are those in space, and their labels give the distance.

        Args:
            image: [H, W, 3] uint8, RGB, the image that was searched.
            threshold: Objects with a lower score are left out.
            from_above: Put a map of the ground beside it, of boxes in space.

        Returns:
            [H, W, 3] uint8, RGB, a new array; [H, W + H, 3] with the map.

        Raises:
            ValueError: The image is no RGB uint8 or not of the size that was searched.
        """
        size = np.shape(image)[1::-1]
        if size != self.image_size:
            raise ValueError(
                f"draw: the image is {size}, the boxes belong to one of {self.image_size} (width, height)."
            )
        shown = self.above(threshold)
        shown = shown[np.argsort(shown.scores, kind="stable")]
        labels = [f"{name} {score:.2f}" for name, score in zip(shown.class_names, shown.scores)]
        colors = class_colors(shown.classes)
        solids = shown.solids if self.camera is not None else None
        if solids is None:
            drawn = draw_boxes(image, shown.boxes, labels, colors)
        else:
            parts = solids[:, 4:7], solids[:, 1:4], solids[:, 7]
            labels = [f"{label} {depth:.1f} m" for label, depth in zip(labels, solids[:, 6])]
            drawn = draw_solids(draw_boxes(image, shown.boxes[:0]), *parts, self.camera, labels, colors)
        if "joints" in shown.fields:
            drawn = draw_joints(drawn, shown.fields["joints"], shown.fields.get("joint_scores"), self.skeleton)
        if from_above and solids is not None:
            drawn = beside(drawn, birds_eye(*parts, colors, side=max(len(drawn), 384)))
        return drawn

    def to_coco(
        self,
        image_id: int,
        category_ids: Mapping[int, int] | Sequence[int] | None = None,
        digits: int | None = None,
    ) -> list[dict[str, Any]]:
        """Rows of COCO's results format.

        Args:
            image_id: Id of the image in the annotation file.
            category_ids: Id of each class, by 0-based index; None counts from 1.
            digits: Decimals of boxes and scores. 2 gives the rounding that published CenterNet results were scored
                with; None keeps every digit.

        Returns:
            K dicts of image_id, category_id, bbox (left, top, width, height in pixels) and score; with joints also
            keypoints, x, y and 1 of each joint in turn, as the original writes them. Objects all of whose joints score
            0, those of classes without joints, have none.
        """
        category_ids = range(1, len(self.names) + 1) if category_ids is None else category_ids
        rounded = float if digits is None else lambda value: float(f"{value:.{digits}f}")
        corners = np.concatenate([self.boxes[:, :2], self.boxes[:, 2:] - self.boxes[:, :2]], axis=1)
        rows = [
            {
                "image_id": int(image_id),
                "category_id": int(category_ids[index]),
                "bbox": [rounded(value) for value in box],
                "score": rounded(score),
            }
            for index, box, score in zip(self.classes.tolist(), corners, self.scores)
        ]
        joints = self.fields.get("joints", np.zeros((len(self), 0, 2)))
        certain = self.fields.get("joint_scores", np.ones(joints.shape[:2])) > 0
        for row, points, known in zip(rows, joints, certain.any(axis=1)):
            if known:
                row["keypoints"] = [value for x, y in points for value in (rounded(x), rounded(y), 1)]
        return rows

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and numbers, ready for JSON; `from_dict` gives the same arrays back."""
        return {
            "image_size": list(self.image_size),
            "names": list(self.names),
            "boxes": _plain(self.boxes),
            "scores": _plain(self.scores),
            "classes": _plain(self.classes),
            "fields": {
                name: {"dtype": str(values.dtype), "shape": list(values.shape), "values": _plain(values)}
                for name, values in self.fields.items()
            },
            **({"skeleton": self.skeleton.as_dict()} if self.skeleton else {}),
            **({"camera": _plain(self.camera)} if self.camera is not None else {}),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Detections":
        """Reads what `to_dict` wrote.

        Raises:
            DataError: A key is missing or unknown.
            ValueError: The values are no detections, see the class.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        for key in values:
            if key not in known:
                raise DataError(f"Detections: unknown key {key!r}.{closest(key, known)} Known: {', '.join(known)}.")
        if missing := [key for key in known if key not in values and key not in ("fields", "skeleton", "camera")]:
            raise DataError(f"Detections: missing {', '.join(missing)}. Expected what Detections.to_dict() returns.")
        fields = {
            name: np.array(field["values"], field["dtype"]).reshape(field["shape"])
            for name, field in values.get("fields", {}).items()
        }
        return cls(
            boxes=np.array(values["boxes"], np.float32).reshape(-1, 4),
            scores=values["scores"],
            classes=values["classes"],
            names=tuple(values["names"]),
            image_size=tuple(values["image_size"]),
            fields=fields,
            skeleton=Skeleton.from_dict(values["skeleton"]) if values.get("skeleton") else None,
            camera=values.get("camera"),
        )

    def to_supervision(self):
        """The same objects as `supervision.Detections`, with `class_name` and all fields in its data.

        Raises:
            ImportError: The supervision package is not installed.
        """
        try:
            import supervision
        except ImportError as error:
            message = "to_supervision() needs the supervision package: pip install centernet_tf[supervision]"
            raise ImportError(message) from error
        return supervision.Detections(
            xyxy=self.boxes.copy(),
            confidence=self.scores.copy(),
            class_id=self.classes.astype(int),
            data={
                "class_name": np.array(self.class_names, dtype=str),
                **{name: values.copy() for name, values in self.fields.items()},
            },
        )


def _whole_numbers(values: Any) -> np.ndarray:
    """Class indices as int64; models may give them as floats, a fraction is an error."""
    values = np.asarray(values)
    with np.errstate(invalid="ignore"):
        whole = values.astype(np.int64)
    if (whole != values).any():
        raise ValueError(f"Detections: classes must be whole numbers, got {values.tolist()[:10]}.")
    return whole


def _plain(values: np.ndarray) -> list:
    """Nested lists; a float is written with the fewest digits that give the same value back."""
    if values.dtype.kind == "f":
        return values.astype(str).astype(np.float64).tolist()
    return values.tolist()
