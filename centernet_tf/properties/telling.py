"""How a property is told to others: outputs of exported models, and result files."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from centernet_tf.properties.fields import Level, Rows


@dataclasses.dataclass(frozen=True)
class Answer:
    """An output of exported models beyond boxes, classes and scores.

    Attributes:
        field: What is found, [B, K, ...], as a task's `Find.name`.
        name: Of the output; TFOD's where it has one.
        kind: How it is told and compared: points (x, y) in pixels become fractions of the image, y first, and so do
            boxes, clipped to it; scores, metres, angles (radians) and other values stay as they are, and so do patches,
            grids [S, S] over the object's box; see `Property.exported` and `Property.laid_out`.
        meaning: What it is, for people who read a model's files: shape, unit, frame.
        label: Name that TFLite's metadata gives it.
        level: Whether each object or each pair has one.
        column: Which column of the field it tells, where several answers share it; None for all of it.
    """

    field: str
    name: str
    kind: Literal["points", "boxes", "scores", "metres", "angles", "values", "patches"]
    meaning: str
    label: str = ""
    level: Level = "object"
    column: int | None = None


@dataclasses.dataclass(frozen=True)
class ResultFiles:
    """Result files that other programs read, one for each image.

    Attributes:
        suffix: Of the files, with its dot; "" for a folder of files.
        write: (path, class names [K], rows with those of `Property.at_pixels`, decimals) writes one, whole or not at
            all.
        owns: Whether an existing file is such a result, which may be replaced.
        read: (path, names of all classes) -> rows: "boxes", "scores", "classes" and fields of the property; None where
            a file does not tell all of that.
        found: Whether only models that find the property have such results.
    """

    suffix: str
    write: Callable[[Path, Sequence[str], Rows, int], None]
    owns: Callable[[Path], bool]
    read: Callable[[Path, Sequence[str]], Rows] | None = None
    found: bool = False
