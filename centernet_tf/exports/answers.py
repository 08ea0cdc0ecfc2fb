"""What every export answers: the outputs of the TensorFlow Object Detection API ("TFOD"), and the files of class names.

TFOD's clients, its TFLite apps and its evaluation read these names, shapes and types:

    detection_boxes    [B, K, 4]  top, left, bottom, right as fractions of the image's height and width, in 0..1
    detection_classes  [B, K]     counted from 1 in a SavedModel, from 0 in a TFLite file
    detection_scores   [B, K]     best first
    num_detections     [B]        rows with a score above 0

and, of a model that finds more, the answers of `PROPERTIES`, [B, K, ...] each, points as y, x fractions of the image,
and boxes as those above.
Patches, grids [B, K, h, w], lie over their object's box. Beside them boxes are whole, beyond 0..1 where
objects reach over the image's edge; cut, they would stretch what lies over them. Where asked for, there is

    NAME_reframed      [B, K, H, W]  uint8, each patch on the pixels of the image: 1 where they belong to the object

All others are float32. An image with fewer peaks than K fills the remaining rows with score 0. Everything here is
NumPy, for clients of a server have no Keras; `export.tfod` makes these outputs in a graph.
"""

import json
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from centernet_tf.errors import UsageError
from centernet_tf.points.task import Find
from centernet_tf.properties import PROPERTIES
from centernet_tf.properties.property import Answer, Property

BOXES = "detection_boxes"
CLASSES = "detection_classes"
SCORES = "detection_scores"
COUNT = "num_detections"
REFRAMED = "_reframed"  # behind the name of what is laid out on the image
NAMES = (BOXES, CLASSES, SCORES, COUNT)


def all_answers() -> tuple[Answer, ...]:
    """All outputs there can be beyond `NAMES`. Of properties that answer one field, the first in the table does."""
    answering: dict[str, str] = {}
    return tuple(
        answer
        for name, entry in PROPERTIES.items()
        for answer in entry.answers
        if answering.setdefault(answer.field, name) == name
    )


def answers_of(finds: Iterable[Find]) -> tuple[Answer, ...]:
    """The outputs beyond `NAMES` of a model that finds this, in the order that files give them."""
    found = {find.name for find in finds}
    return tuple(answer for answer in all_answers() if answer.field in found)


def answer_names(finds: Iterable[Find], reframed: bool = False) -> tuple[str, ...]:
    """All outputs of a model that finds this, in the order that files give them; with those laid out where asked for.

    Raises:
        UsageError: There is nothing to lay out.
    """
    answers = answers_of(finds)
    laid_out = tuple(answer.name + REFRAMED for answer in answers if answer.kind == "patches") if reframed else ()
    if reframed and not laid_out:
        raise UsageError("reframed: this model finds nothing that fills boxes. Leave it out.")
    return (*NAMES, *(answer.name for answer in answers), *laid_out)


def have_patches(found: Container[str]) -> bool:
    """Whether any of the fields lies over the boxes, which then have to be whole."""
    return any(answer.kind == "patches" and answer.field in found for answer in all_answers())


def boxes_of(found: Container[str]) -> tuple[str, ...]:
    """The fields that hold boxes, "boxes" itself among them."""
    return ("boxes", *(answer.field for answer in all_answers() if answer.kind == "boxes" and answer.field in found))


def as_exported(found: Mapping[str, Any], properties: Iterable[Property]) -> dict[str, Any]:
    """Fields [..., S, S] that show more than their box, cut to the part that `Property.exported` tells.

    Args:
        found: {field: values}, of arrays or tensors.
        properties: What the model says of them.
    """
    cut = dict(found)
    for one in properties:
        shapes = {field.name: field.shape for field in one.exported().fields}
        for answer in one.answers:
            if answer.kind == "patches" and answer.field in found:
                rows, columns = (
                    slice((had - kept) // 2, (had + kept) // 2)
                    for had, kept in zip(found[answer.field].shape[-2:], shapes[answer.field])
                )
                cut[answer.field] = found[answer.field][..., rows, columns]
    return cut


def as_found(
    answers: Mapping[str, np.ndarray], in_image: Callable[[np.ndarray], np.ndarray], first_class: int
) -> dict[str, np.ndarray]:
    """Outputs of one image back to fields as `detector.found.as_detections` takes them.

    Args:
        answers: {output: [K, ...]}, at least boxes, classes and scores; those that nobody knows are left out.
        in_image: Points [..., 2] (y, x) as fractions to (x, y) in pixels of the image.
        first_class: Number of the first class: 1 of a SavedModel, 0 of a file for phones.
    """

    def boxes_in_image(values: np.ndarray) -> np.ndarray:
        return in_image(values.reshape(-1, 2, 2)).reshape(values.shape)

    moved = {"points": in_image, "boxes": boxes_in_image}
    found = {
        "boxes": boxes_in_image(answers[BOXES]).reshape(-1, 4),
        "scores": answers[SCORES],
        "classes": np.rint(answers[CLASSES]).astype(int) - first_class,
    }
    columns: dict[str, list[np.ndarray]] = {}
    for answer in all_answers():
        if answer.name not in answers:
            continue
        value = answers[answer.name]
        if answer.column is not None:
            columns.setdefault(answer.field, []).append(value)  # in their order, as properties say them
        else:
            found[answer.field] = moved.get(answer.kind, np.asarray)(value)
    return {**found, **{name: np.stack(values, axis=-1) for name, values in columns.items()}}


def label_lines(names: Sequence[str]) -> str:
    """A label file: the name of class i, counted from 0, on line i.

    Raises:
        UsageError: A name holds a line break.
    """
    if broken := [name for name in names if len(name.splitlines()) > 1]:
        raise UsageError(f"class name {broken[0]!r} has several lines, which no label file can hold. Rename the class.")
    return "".join(f"{name}\n" for name in names)


def label_map(names: Sequence[str]) -> str:
    """TFOD's label map, a text protobuf; its ids count from 1."""
    items = (
        f"item {{\n  id: {number}\n  name: {json.dumps(name, ensure_ascii=False)}\n}}\n"
        for number, name in enumerate(names, start=1)
    )
    return "".join(items)
