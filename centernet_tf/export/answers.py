"""What every export answers: the outputs of the TensorFlow Object Detection API ("TFOD"), and the files of class names.

TFOD's clients, its TFLite apps and its evaluation read these names, shapes and types:

    detection_boxes    [B, K, 4]  top, left, bottom, right as shares of the image's height and width, in 0..1
    detection_classes  [B, K]     counted from 1 in a SavedModel, from 0 in a TFLite file
    detection_scores   [B, K]     best first
    num_detections     [B]        rows with a score above 0

and, of a model that finds more, also what `ANSWERS` lists:

    detection_keypoints        [B, K, J, 2]  y, x as shares of the image's height and width; some may lie outside
    detection_keypoint_scores  [B, K, J]     0.1 where only the object's centre tells; 0 for classes without joints
    detection_3d_locations     [B, K, 3]     x, y, z in metres of the middle of the bottom face, in the camera's frame
    detection_3d_dimensions    [B, K, 3]     height, width, length in metres
    detection_3d_rotations     [B, K]        about the camera's y axis, in radians from -pi to pi
    detection_alphas           [B, K]        the direction as the image shows it, likewise

All are float32. An image with fewer peaks than K fills the remaining rows with score 0.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from keras import ops

from centernet_tf.centers import STRIDE
from centernet_tf.errors import UsageError
from centernet_tf.task import TaskSet

BOXES = "detection_boxes"
CLASSES = "detection_classes"
SCORES = "detection_scores"
COUNT = "num_detections"
NAMES = (BOXES, CLASSES, SCORES, COUNT)
JOINTS = "detection_keypoints"
JOINT_SCORES = "detection_keypoint_scores"
LOCATIONS = "detection_3d_locations"
DIMENSIONS = "detection_3d_dimensions"
ROTATIONS = "detection_3d_rotations"
ALPHAS = "detection_alphas"


@dataclasses.dataclass(frozen=True)
class Answer:
    """An output beyond TFOD's four.

    Attributes:
        field: What is found, [B, K, ...], as `Task.finds` names it.
        name: Of the output.
        kind: How it is told and compared: points (x, y) in pixels become shares, y first; scores, metres and angles
            stay as they are.
    """

    field: str
    name: str
    kind: Literal["points", "scores", "metres", "angles"]


ANSWERS = (
    Answer("joints", JOINTS, "points"),
    Answer("joint_scores", JOINT_SCORES, "scores"),
    Answer("locations", LOCATIONS, "metres"),
    Answer("dimensions", DIMENSIONS, "metres"),
    Answer("rotations", ROTATIONS, "angles"),
    Answer("alphas", ALPHAS, "angles"),
)


def answers_of(tasks: TaskSet) -> tuple[Answer, ...]:
    """The outputs of a model of these tasks beyond `NAMES`, in the order that files give them."""
    return tuple(answer for answer in ANSWERS if answer.field in tasks.finds)


def answer_names(tasks: TaskSet) -> tuple[str, ...]:
    """All outputs of a model of these tasks, in the order that files give them."""
    return (*NAMES, *(answer.name for answer in answers_of(tasks)))


def in_pixels(found: Mapping[str, Any], tasks: TaskSet) -> dict[str, Any]:
    """What `TaskSet.decode` gives, in pixels of the network's input instead of cells."""
    return {name: value * float(STRIDE) if name in tasks.motions else value for name, value in found.items()}


def tfod_answers(found: Mapping[str, Any], sizes: Any, class_offset: int) -> dict[str, Any]:
    """Turns what `DetectorGraph` finds into TFOD's outputs.

    Args:
        found: "boxes" [B, K, 4] left, top, right, bottom in pixels of each image, "scores" [B, K] and "classes" [B, K]
            counted from 0; and fields of `ANSWERS` where there are any.
        sizes: [B, 2] height and width of each image in pixels, without padding.
        class_offset: Number of the first class: 1 for a SavedModel, 0 for a TFLite file.

    Returns:
        {name: tensor} as in the module's docstring. Boxes are clipped to the image, so one that lies wholly outside
        has no area.
    """
    sides = ops.cast(sizes, "float32")
    scale = ops.concatenate([sides, sides], axis=-1)[:, None]  # [B, 1, 4]
    left, top, right, bottom = (ops.cast(found["boxes"][..., side], "float32") for side in range(4))
    boxes = ops.stack([top, left, bottom, right], axis=-1) / scale
    scores = ops.cast(found["scores"], "float32")
    answers = {
        BOXES: ops.clip(boxes, 0.0, 1.0),
        CLASSES: ops.cast(found["classes"], "float32") + float(class_offset),
        SCORES: scores,
        COUNT: ops.sum(ops.cast(scores > 0, "float32"), axis=-1),
    }
    for answer in ANSWERS:
        if answer.field in found:
            value = ops.cast(found[answer.field], "float32")
            answers[answer.name] = _as_shares(value, sides) if answer.kind == "points" else value
    return answers


def _as_shares(points: Any, sides: Any) -> Any:
    """Points [B, K, ..., 2] (x, y) in pixels to (y, x) as shares of images of these heights and widths [B, 2]."""
    spread = ops.reshape(sides, (-1, *(1,) * (len(points.shape) - 2), 2))
    return ops.stack([points[..., 1], points[..., 0]], axis=-1) / spread


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
