"""All that a property of objects must say: how it is recorded, checked, drawn, told in JSON, exported and scored.

A property is what an object can have besides its box and its class. Everything here is plain NumPy: records, images,
inspection, result files and clients of servers need it without Keras. How a network learns it, a task says.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import pydantic
from rich.table import Table

from centernet_tf.properties.chronicle import Chronicle
from centernet_tf.properties.faults import Fault, endless, endless_of_image, strangers
from centernet_tf.properties.fields import Field, Level, Rows
from centernet_tf.properties.metric import SINGLE, ImageKey, Metric
from centernet_tf.properties.notebook import Check, Notebook
from centernet_tf.properties.telling import Answer, ResultFiles

Size = tuple[int, int]  # Width and height of an image in pixels.


@dataclasses.dataclass(frozen=True)
class Look:
    """How the objects of one image are drawn.

    Attributes:
        labels: [N] text of each object.
        colors: [N, 3] uint8 RGB of each object.
        truth: Rows of annotated objects to compare with, in the same frame; None where there are none to show.
        before: Rows of the frames of its video before it, oldest first, in pixels of the same canvas.
    """

    labels: Sequence[str]
    colors: np.ndarray
    truth: Rows | None = None
    before: tuple[Rows, ...] = ()


class Survey:
    """What an inspection learns of a property, an image at a time. The base learns nothing."""

    def add(self, name: str, rows: Rows, size: Size, image: ImageKey = SINGLE) -> None:
        """Takes in the rows of an image as they are stored; values may be wrong, shapes are not."""

    def close(self) -> None:
        """Notes what only all images together show."""

    def facts(self) -> dict[str, str]:
        """Lines of the summary: {what: text}."""
        return {}

    def tables(self) -> list[Table]:
        """Tables for people."""
        return []

    def as_dict(self) -> dict[str, Any]:
        """The same ready for JSON."""
        return {}


class Property(pydantic.BaseModel):
    """What objects may have. An instance holds what a data set or a model says of it, such as names of keypoints.

    Every method but `fields` has a default, so a property says only what it has to say: that of `faults` and its like
    finds what any field must not be, the others do nothing. What stands below a field as a docstring tells people what
    it does, in docs/settings.md.

    Attributes:
        name: Key in `PROPERTIES`, in dataset.yaml and in the model card.
        keys: Keys of tf.train.Example that hold it, and their types: "float", "int" or "bytes".
        answers: Outputs of exported models.
        overall: Rows that one record does not tell, but all together do, see `over`.
        checks: What an inspection may find, by code.
        broken: The code in `checks` of lists that `unpack` cannot read.
        result_files: Formats of result files, by the name of the option that writes them.
        coco: Keys of `to_json` that COCO's test server takes.
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    name: ClassVar[str]
    keys: ClassVar[Mapping[str, Literal["float", "int", "bytes"]]] = {}
    answers: ClassVar[tuple[Answer, ...]] = ()
    overall: ClassVar[tuple[Field, ...]] = ()
    checks: ClassVar[Mapping[str, Check]] = {}
    broken: ClassVar[str] = "bad_example"
    result_files: ClassVar[Mapping[str, ResultFiles]] = {}
    coco: ClassVar[tuple[str, ...]] = ()

    @property
    def fields(self) -> tuple[Field, ...]:
        """The rows that `unpack` makes."""
        return ()

    # Records.

    def unpack(self, lists: Rows, boxes: np.ndarray, size: Size) -> Rows:
        """Lists as they are stored to rows.

        Args:
            lists: {key: [L]} for `keys`; float32, int64 or bytes, empty where a record lacks one.
            boxes: [N, 4] left, top, right, bottom in pixels.
            size: Width and height of the image.

        Returns:
            An array for each of `fields`, points in pixels. Values are not judged, see `faults`.

        Raises:
            ValueError: The lists do not make N whole objects; the message says which key holds what.
        """
        del lists, boxes, size
        return {}

    def over(self, images: Iterable[tuple[ImageKey, Rows]]) -> "Property":
        """The same with `overall` among its rows, after a look at all images that are trained on.

        Args:
            images: Their places and rows, in file order; boxes may be in fractions of the image. None of an empty
                table: what is trained on elsewhere is unknown here.
        """
        del images
        return self

    def pack(self, rows: Rows, size: Size) -> dict[str, Sequence[Any]]:
        """Rows to the lists that `unpack` reads; {key: values}."""
        del rows, size
        return {}

    def fill(self, rows: Rows, count: int) -> Rows:
        """Rows as a reader of annotations gives them, completed for `count` objects; some or all may be missing.

        Raises:
            ValueError: An array has another shape than its field.
        """
        filled = {}
        leading = {"object": (count,), "pair": (0,), "image": ()}
        for field in self.fields:
            shape = (*leading[field.level], *field.shape)
            with np.errstate(over="ignore"):  # to infinity, which `faults` tells
                values = np.asarray(rows.get(field.name, np.full(shape, field.fill)), field.dtype)
            if values.shape != shape and field.level != "pair":
                raise ValueError(f"{field.name} has shape {values.shape}, expected {shape}: {field.meaning}.")
            filled[field.name] = values
        return filled

    def place(self, rows: Rows, boxes: np.ndarray, size: Size) -> Rows:
        """What of `fields` follows from other rows and from the boxes, for annotations on their way into records.

        Args:
            rows: Those of objects without `faults`.
            boxes: [N, 4] left, top, right, bottom of the whole objects in pixels, also beyond the image.
            size: Width and height of the image.
        """
        del rows, boxes, size
        return {}

    def faults(self, rows: Rows, size: Size) -> list[Fault | None]:
        """What is wrong with the values of each object, if anything; by default, numbers that are not finite.

        Args:
            rows: Those of `fields`, and "boxes" [N, 4], which tell how many objects there are where no field does.
            size: Width and height of the image.
        """
        del size
        return endless(rows, self._of_level("object"), len(rows["boxes"]))

    def pair_faults(self, rows: Rows, count: int) -> list[Fault | None]:
        """What is wrong with each pair among `count` objects, if anything; they stay where it has no pairs.

        By default, rows of objects that are not there, and numbers that are not finite. Unlike `faults`, these leave
        out pairs, and no object.
        """
        fields = self._of_level("pair")
        pairs = len(rows[fields[0].name]) if fields else 0
        found = zip(strangers(rows, fields, pairs, count), endless(rows, fields, pairs))
        return [stranger or number for stranger, number in found]

    def image_fault(self, rows: Rows) -> Fault | None:
        """Why the whole image cannot be used, if so; by default, numbers of it that are not finite."""
        return endless_of_image(rows, self._of_level("image"))

    def _of_level(self, level: Level) -> list[Field]:
        return [field for field in self.fields if field.level == level]

    def count(self, rows: Rows, size: Size) -> dict[str, int]:
        """What the report of a conversion adds up over the images."""
        del rows, size
        return {}

    def tell(self, counts: Mapping[str, int]) -> str:
        """The sum of `count` as a sentence."""
        del counts
        return ""

    def difference(self, other: "Property") -> str:
        """What keeps this and another of the kind from meaning the same, for people; "" where they do."""
        return "" if self == other else f"{self!r} and {other!r}"

    # Looking.

    def survey(self, notebook: Notebook) -> Survey:
        """Starts an inspection that notes what it finds."""
        del notebook
        return Survey()

    def outlined(self, rows: Rows) -> np.ndarray | None:
        """[N] bool: objects whose outline `draw` draws itself, so that their box is left out; None for none."""
        del rows
        return None

    def labels(self, labels: Sequence[str], rows: Rows) -> list[str]:
        """The text of each object, with what this property adds to it."""
        del rows
        return list(labels)

    def draw(self, canvas: np.ndarray, rows: Rows, look: Look) -> np.ndarray:
        """Draws the objects' property over an image.

        Args:
            canvas: [H, W, 3] uint8 RGB, boxes are drawn already.
            rows: In pixels of the canvas; found or annotated.
            look: Text and colour of each object.

        Returns:
            A new array of the same size, or the canvas.
        """
        del rows, look
        return canvas

    def panel(self, rows: Rows, look: Look, side: int) -> np.ndarray | None:
        """A picture [side, side, 3] to stand beside the image, such as the bird's-eye view; None for none."""
        del rows, look, side
        return None

    # Telling.

    def at_pixels(self, rows: Rows, size: Size) -> Rows:
        """Further rows that follow from what was found once the image is known: for JSON, result files and metrics.

        Args:
            rows: Of what was found, in pixels of the image.
            size: Width and height of the image.
        """
        del rows, size
        return {}

    def to_json(self, rows: Rows, digits: int | None) -> list[dict[str, Any]]:
        """More keys of each object's line of JSON, numbers rounded to `digits` decimals; None keeps them.

        Rows have those of `at_pixels` among them.
        """
        del digits
        return [{} for _ in rows["boxes"]]

    def columns(self) -> dict[str, tuple[str, ...]]:
        """Columns of tables: {key of `to_json`: a name for each of its numbers}."""
        return {}

    def to_centernet(self, table: np.ndarray, rows: Rows) -> np.ndarray:
        """The results [N, ...] of the original's API, from those without this property: box, score."""
        del rows
        return table

    def image_to_json(self, rows: Rows) -> dict[str, Any]:
        """More keys of the image's line."""
        del rows
        return {}

    def chronicle(self, names: Sequence[str], digits: int | None) -> Chronicle | None:
        """Starts what gathers more keys of a video's line, of classes with these names; None for nothing."""
        del names, digits
        return None

    def class_to_json(self, name: str) -> dict[str, Any]:
        """More keys of a category of this name."""
        del name
        return {}

    def to_supervision(self, rows: Rows) -> dict[str, np.ndarray]:
        """Arguments [N, ...] of `supervision.Detections` beyond boxes, scores and classes; rows as in `to_json`."""
        del rows
        return {}

    def exported(self) -> "Property":
        """The same as exported models tell it: their patches show an object's box and nothing around it.

        Raises:
            UsageError: That part of what is found is no part of its grid.
        """
        return self

    def laid_out(self, values: Any, boxes: Any, columns: Any, rows: Any) -> Any:
        """What is found of an answer of kind "patches", on the pixels of the image; of arrays and of tensors.

        Args:
            values: [..., S, S] as found.
            boxes: [..., 4] of the objects, left, top, right, bottom in pixels.
            columns: [W] x of the image's columns.
            rows: [H] y of its rows.

        Returns:
            [..., H, W] bool, whether they belong to the object.
        """
        raise TypeError(f"{type(self).__name__} has patches, but does not implement laid_out.")

    # Scoring.

    def mismatch(self, model: "Property") -> str:
        """What keeps results of a model that says `model` from being scored on records that say this; "" for nothing.

        What changes only how it is drawn, or how strictly it is scored, is left to the records.
        """
        return self.difference(model)

    def scored_as(self, model: "Property") -> "Property":
        """This property of records, so that its metrics measure what a model that says `model` finds."""
        del model
        return self

    def metrics(self, names: Sequence[str], **options: Any) -> list[Metric]:
        """Starts what measures it.

        Args:
            names: Of the classes.
            options: "digits" (decimals that boxes and scores are rounded to, or None) and "iou" (text of --iou); more
                may come.
        """
        del names, options
        return []
