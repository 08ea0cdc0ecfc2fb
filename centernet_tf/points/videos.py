"""What a task must say of videos: how several frames make one sample, and what belongs together over time."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from centernet_tf.properties.fields import Field
from centernet_tf.properties.property import Rows

PRESENT = "present"  # of rows that a clip joins: [N] which row of the present image each is, -1 in other images


@dataclasses.dataclass(frozen=True)
class GraphAssociation:
    """`Association` with fixed shapes, inside a graph that carries its memory from call to call; in `keras.ops`.

    Attributes:
        start: (K objects of a frame) -> {name: array}, the memory of a video that begins.
        step: ({field: [K, ...]} of one frame, best score first, memory) -> ([K] bool, which are told; {field: [K, ...]}
            that is learned of them; the new memory).
        recall: memory -> rows that the next frame's inputs are drawn from, "boxes" [N, 4] in pixels of the image and
            "valid" [N] bool; None where none are.
    """

    start: Callable[[int], dict[str, Any]]
    step: Callable[[Mapping[str, Any], Mapping[str, Any]], tuple[Any, dict[str, Any], dict[str, Any]]]
    recall: Callable[[Mapping[str, Any]], dict[str, Any]] | None = None


@dataclasses.dataclass(frozen=True)
class Association:
    """What makes detections of a video belong together; pure functions of what came before.

    Attributes:
        start: () -> memory of a video that begins.
        step: (detections, memory) -> (those that can be told now, in order; the new memory).
        finish: memory -> what was held back until the end.
        recall: memory -> rows that the next frame's inputs are drawn from, "boxes" [N, 4] among them, in pixels of the
            images; None where none are.
        graph: The same inside a graph; None where only the host can.
        looks: Whether `step` takes the frame's pixels [H, W, 3] as its third argument.
        begin: ([P, 5] boxes left, top, right, bottom that another detector found in the first frame, and their scores)
            -> memory of a video that begins with them; `step` then takes such boxes of its frame as `public`; or None.
        follows: The find of points by which objects are followed, in place of which it is given another task's
            `anchor`; "" where there is none.
    """

    start: Callable[[], Any]
    step: Callable[..., tuple[list[Any], Any]]
    finish: Callable[[Any], list[Any]]
    recall: Callable[[Any], Rows] | None = None
    graph: GraphAssociation | None = None
    looks: bool = False
    begin: Callable[[np.ndarray], Any] | None = None
    follows: str = ""


@dataclasses.dataclass(frozen=True)
class Clip:
    """How several frames of a video make one sample to train on.

    Attributes:
        join: ({frame: rows}, (height, width) of the input, source of chance or None) -> the rows of the present frame
            with `fields`, and the rows that inputs are drawn from, or none. Rows are in pixels of the network's input,
            each frame moved by its own matrix, with `PRESENT`.
        fields: What `join` makes; no record has them.
        reads: What it needs of every frame besides boxes, classes and what all objects have.
        drawn: Fields of the rows that inputs are drawn from.
        reach: Where above 0, the other frames are any of the video at most so many away, the present one among them.
        same_crop: Whether all frames are shown in the same crop, but where the other one is the present one.
        shift: Else, the standard deviation of the other crop's motion, as a fraction of its side.
        scale: And of the change of its side.
        whole: {frame: rows} -> whether a window is trained and validated on at all; where not None, windows that reach
            beyond their video, or over frames that are missing in it, are not.
    """

    join: Callable[[Mapping[int, Rows], tuple[int, int], Any], tuple[Rows, Rows]]
    fields: tuple[Field, ...] = ()
    reads: tuple[Field, ...] = ()
    drawn: tuple[Field, ...] = ()
    reach: int = 0
    same_crop: bool = True
    shift: float = 0.0
    scale: float = 0.0
    whole: Callable[[Mapping[int, Rows]], bool] | None = None
