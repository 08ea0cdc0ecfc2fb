"""What a detector found in one image, as arrays in pixels of that image, and the forms that other tools take."""

import dataclasses
import functools
import operator
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from centernet_tf.errors import DataError, closest
from centernet_tf.host.arrays import array_from_dict, array_to_dict, plain_lists
from centernet_tf.media.draw import class_colors
from centernet_tf.properties import as_plain, read_properties
from centernet_tf.properties.draw import draw_objects, tells_of
from centernet_tf.properties.pairs import Pairs, whole_numbers
from centernet_tf.properties.property import Property, Rows

__all__ = ["Detection", "Detections", "Pairs"]

PANEL = 384  # pixels that the sides of panels have at least while they are drawn


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
        fields: Further arrays [K, ...] of objects by name; `properties` say what they are.
        properties: What was looked for besides boxes and classes, as the model says.
        extras: What the image has one of and the model was given or assumed, by name.
        pairs: What ties objects together; None where that was not looked for.

    Raises:
        ValueError: Shapes disagree, a number is NaN or infinite, or a class has no name.
    """

    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray
    names: tuple[str, ...]
    image_size: tuple[int, int]
    fields: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    properties: tuple[Property, ...] = ()
    extras: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    pairs: Pairs | None = None

    def __post_init__(self) -> None:
        values = {
            "boxes": np.array(self.boxes, np.float32),
            "scores": np.array(self.scores, np.float32),
            "classes": whole_numbers(self.classes, "classes"),
            "names": tuple(self.names),
            "image_size": tuple(map(operator.index, self.image_size)),
            "fields": {name: np.array(values) for name, values in self.fields.items()},
            "properties": tuple(self.properties),
            "extras": {name: np.array(values) for name, values in self.extras.items()},
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)
        self._check()
        for array in (self.boxes, self.scores, self.classes, *self.fields.values(), *self.extras.values()):
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
        for name, values in self.extras.items():
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                raise ValueError(f"Detections: {name} of the image is NaN or infinite: {values.tolist()!r:.200}.")
        self._check_properties(count)
        pairs = np.zeros((0, 2), int) if self.pairs is None else self.pairs.rows
        if ((pairs < (0, -1)) | (pairs >= count)).any():
            raise ValueError(f"Detections: pairs name rows {pairs.min()} to {pairs.max()} of {count} objects.")
        if count and not 0 <= self.classes.min() <= self.classes.max() < len(self.names):
            raise ValueError(
                f"Detections: classes run from {self.classes.min()} to {self.classes.max()}, but "
                f"{len(self.names)} names are known. Classes are 0-based indices into names."
            )
        if len(self.image_size) != 2 or min(self.image_size) < 1:
            raise ValueError(f"Detections: image_size is {self.image_size}, expected (width, height) in pixels.")

    def _check_properties(self, count: int) -> None:
        """Compares the arrays with what the properties say of them."""
        for field in (field for one in self.properties for field in one.fields):
            held = self.extras if field.level == "image" else self.fields
            shape = field.shape if field.level == "image" else (count, *field.shape)
            if field.name in held and field.level != "pair" and held[field.name].shape != shape:
                came = held[field.name].shape
                raise ValueError(f"Detections: {field.name!r} has shape {came}, expected {shape}: {field.meaning}.")

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
        chosen = np.arange(len(self))[index]
        return dataclasses.replace(
            self,
            boxes=self.boxes[index],
            scores=self.scores[index],
            classes=self.classes[index],
            fields={name: values[index] for name, values in self.fields.items()},
            pairs=None if self.pairs is None else self.pairs.of(chosen, len(self)),
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
    def rows(self) -> Rows:
        """All arrays by name, those of pairs as "pairs", "verbs" and "pair_scores"."""
        pairs = self.pairs
        tied = {} if pairs is None else {"pairs": pairs.rows, "verbs": pairs.verbs, "pair_scores": pairs.scores}
        basic = {"boxes": self.boxes, "scores": self.scores, "classes": self.classes}
        return {**basic, **self.fields, **self.extras, **tied}

    @functools.cached_property
    def rows_at_pixels(self) -> Rows:
        """`rows`, and those that the properties make of them now that the image is known, see `Property.at_pixels`."""
        rows = dict(self.rows)
        for one in self.properties:
            if tells_of(one, self.rows):
                rows.update(one.at_pixels(self.rows, self.image_size))
        return rows

    def above(self, threshold: float) -> "Detections":
        """The objects whose score is at least `threshold`, in the same order."""
        return self[self.scores >= threshold]

    def draw(
        self,
        image: np.ndarray,
        threshold: float = 0.3,
        panels: bool = False,
        truth: Rows | None = None,
        before: Sequence[Rows] = (),
    ) -> np.ndarray:
        """Draws boxes, names, scores and what else the objects have; the surest object lies on top.

        Args:
            image: [H, W, 3] uint8, RGB, the image that was searched.
            threshold: Objects with a lower score are left out.
            panels: Put further views beside it, where properties have some.
            truth: Rows of the annotated objects, which such views compare with.
            before: Of a video, `rows` of the frames before this one, oldest first.

        Returns:
            [H, W, 3] uint8, RGB, a new array; each panel adds H columns.

        Raises:
            ValueError: The image is no RGB uint8 or not of the size that was searched.
        """
        size = np.shape(image)[1::-1]
        if size != self.image_size:
            raise ValueError(f"draw: the image is {size}, the boxes are of one of {self.image_size} (width, height).")
        shown = self.above(threshold)
        shown = shown[np.argsort(shown.scores, kind="stable")]
        labels = [f"{name} {score:.2f}" for name, score in zip(shown.class_names, shown.scores)]
        colors, side = class_colors(shown.classes), PANEL if panels else None
        return draw_objects(image, shown.rows, self.properties, labels, colors, side, truth, before)

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
            K dicts of image_id, category_id, bbox (left, top, width, height in pixels) and score, and the keys of the
            properties.
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
        for one in self.properties if len(self) else ():
            if tells_of(one, self.rows):
                for row, keys in zip(rows, one.to_json(self.rows_at_pixels, digits), strict=True):
                    row.update(keys)
        return rows

    def to_centernet(self) -> dict[int, np.ndarray]:
        """The same objects as `results` of the original's `detector.run(image)`.

        Returns:
            {category: [N, 5 or more] float32} of every class, counted from 1, in the order of `boxes`: left, top, right
            and bottom in pixels of the image, score, and what the properties add, see `Property.to_centernet`.
            Where a property adds columns, the original may have lists instead, as `tolist()` gives.
        """
        table = np.column_stack([self.boxes, self.scores])
        for one in self.properties:
            if tells_of(one, self.rows):
                table = one.to_centernet(table, self.rows)
        table = table.astype(np.float32)
        return {category: table[self.classes == category - 1] for category in range(1, len(self.names) + 1)}

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and numbers, ready for JSON; `from_dict` gives the same arrays back."""
        extras = {name: array_to_dict(values) for name, values in self.extras.items()}
        pairs = None if self.pairs is None else {name: plain_lists(rows) for name, rows in vars(self.pairs).items()}
        return {
            "image_size": list(self.image_size),
            "names": list(self.names),
            "boxes": plain_lists(self.boxes),
            "scores": plain_lists(self.scores),
            "classes": plain_lists(self.classes),
            "fields": {name: array_to_dict(values) for name, values in self.fields.items()},
            **({"properties": as_plain(self.properties)} if self.properties else {}),
            **({"extras": extras} if extras else {}),
            **({} if pairs is None else {"pairs": pairs}),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Detections":
        """Reads what `to_dict` wrote.

        Raises:
            DataError: A key or a property is missing or unknown.
            ValueError: The values are no detections, see the class.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        optional = ("fields", "properties", "extras", "pairs")
        for key in values:
            if key not in known:
                raise DataError(f"Detections: unknown key {key!r}.{closest(key, known)} Known: {', '.join(known)}.")
        if missing := [key for key in known if key not in values and key not in optional]:
            raise DataError(f"Detections: missing {', '.join(missing)}. Expected what Detections.to_dict() returns.")
        fields, extras = (
            {name: array_from_dict(array) for name, array in values.get(key, {}).items()}
            for key in ("fields", "extras")
        )
        return cls(
            boxes=np.array(values["boxes"], np.float32).reshape(-1, 4),
            scores=values["scores"],
            classes=values["classes"],
            names=tuple(values["names"]),
            image_size=tuple(values["image_size"]),
            fields=fields,
            properties=read_properties(values.get("properties", {}), "Detections"),
            extras=extras,
            pairs=Pairs(**values["pairs"]) if values.get("pairs") is not None else None,
        )

    def to_supervision(self):
        """The same objects as `supervision.Detections`, with `class_name` and all fields in its data.

        What that package has names for is there under these, too.

        Raises:
            ImportError: The supervision package is not installed.
        """
        try:
            import supervision
        except ImportError as error:
            message = "to_supervision() needs the supervision package: pip install centernet_tf[supervision]"
            raise ImportError(message) from error
        named: dict[str, Any] = {}
        for one in self.properties:
            if tells_of(one, self.rows):
                named |= one.to_supervision(self.rows_at_pixels)
        return supervision.Detections(
            **named,
            xyxy=self.boxes.copy(),
            confidence=self.scores.copy(),
            class_id=self.classes.astype(int),
            data={
                "class_name": np.array(self.class_names, dtype=str),
                **{name: values.copy() for name, values in self.fields.items()},
            },
        )
