"""KITTI's text files: labels, results, and the cameras of calibration files.

A label is a line of 15 columns: class, truncated (0..1), occluded (0..3), alpha, box (left, top, right, bottom in
pixels), height, width, length, x, y, z in metres, rotation_y; a result has its score as the sixteenth (devkit of the
KITTI object benchmark, readme.txt). Objects without 3D box have -1 as dimensions and -1000 as location.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from centernet_tf.errors import DataError, UsageError
from centernet_tf.geometry.camera import wrap
from centernet_tf.host.files import write_text
from centernet_tf.host.reading import is_file
from centernet_tf.host.reading import read_lines as read_text_lines
from centernet_tf.properties.boxes3d import records
from centernet_tf.properties.property import Rows as Results

UNKNOWN_ANGLE = -10
_COLUMNS = 15


@dataclass(frozen=True, eq=False)
class Lines:
    """The N lines of one file.

    Attributes:
        names: [N] classes as the file has them.
        truncated: [N] share outside the image; -1 where not known. Numbers are as written, whatever they are.
        occluded: [N] 0 to 3; -1 where not known.
        boxes: [N, 4] left, top, right, bottom in pixels.
        boxes3d: [N, 8] alpha, height, width, length, x, y, z, rotation_y; NaN for objects without 3D box.
        scores: [N]; NaN where the file has labels.
        places: [N] number of the line, from 1.
    """

    names: tuple[str, ...]
    truncated: np.ndarray
    occluded: np.ndarray
    boxes: np.ndarray
    boxes3d: np.ndarray
    scores: np.ndarray
    places: tuple[int, ...] = ()


def read_lines(path: Path) -> Lines:
    """Reads a file of labels or results; an empty one has no objects.

    Raises:
        DataError: The file cannot be read, or a line has not 15 or 16 columns or no numbers; the line is named.
    """
    lines = enumerate(read_text_lines(path, DataError), start=1)
    return parse_lines([(number, line.split()) for number, line in lines if line.strip()], path)


def parse_lines(lines: Sequence[tuple[int, Sequence[str]]], path: Path) -> Lines:
    """Makes sense of lines that are split already.

    Args:
        lines: Number of each line, from 1, and its words, the class first.
        path: Of their file, for messages.

    Raises:
        DataError: As `read_lines`.
    """
    names, numbers, places = [], [], []
    for number, (name, *columns) in lines:
        if len(columns) not in (_COLUMNS - 1, _COLUMNS):
            raise DataError(
                f"{path}: line {number} has {len(columns) + 1} columns; expected 15 of a label or 16 of a result."
            )
        try:
            values = [float(column) for column in columns]
        except ValueError as error:
            raise DataError(f"{path}: line {number} holds text in place of a number ({error}).") from error
        places.append(number)
        names.append(name)
        numbers.append(values + [np.nan] * (_COLUMNS - len(values)))
    table = np.array(numbers, np.float64).reshape(-1, _COLUMNS)
    boxes3d = np.concatenate([table[:, 2:3], table[:, 7:14]], axis=1)
    boxes3d[(boxes3d[:, 1:4] == -1).all(axis=1) | (boxes3d[:, 6] <= -1000)] = np.nan
    return Lines(tuple(names), table[:, 0], table[:, 1], table[:, 3:7], boxes3d, table[:, 14], tuple(places))


def write_results(
    path: Path,
    names: Sequence[str],
    boxes: np.ndarray,
    boxes3d: np.ndarray,
    scores: np.ndarray,
    digits: int = 2,
) -> None:
    """Writes the results of one image, as KITTI's evaluation reads them; truncation and occlusion are left unknown.

    Args:
        path: Such as results/000007.txt; folders on the way are made. Nothing found makes an empty file.
        names: [N] classes.
        boxes: [N, 4] left, top, right, bottom in pixels of the image.
        boxes3d: [N, 8] alpha, height, width, length, x, y, z, rotation_y; NaN for objects without 3D box.
        scores: [N].
        digits: Decimals; the original writes 2, which costs a little accuracy. Scores have at least 4.

    Raises:
        DataError: It cannot be written. No empty file is left, which would tell that nothing was found.
    """
    lines = []
    for name, box, values3d, score in zip(names, boxes, boxes3d, scores):
        alpha, *place = values3d if np.isfinite(values3d).all() else (-10, -1, -1, -1, -1000, -1000, -1000, -10)
        values = " ".join(f"{value:.{digits}f}" for value in (alpha, *box, *place))
        lines.append(f"{name.replace(' ', '_')} -1 -1 {values} {score:.{max(digits, 4)}f}\n")
    write_text(path, "".join(lines), sync=False)  # One of thousands.


def holds_results(path: Path) -> bool:
    """Whether a file is one of results, or empty, and so may be written again; labels have no score."""
    try:
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError):
        return False
    return all(len(line.split()) == _COLUMNS + 1 for line in lines)


def with_orientations(boxes3d: np.ndarray) -> np.ndarray:
    """[N, 8] boxes3d as in `Lines`; alpha, where it is -10, "unknown", follows from rotation_y, x and z."""
    boxes3d = np.array(boxes3d)
    unknown = boxes3d[:, 0] == UNKNOWN_ANGLE
    boxes3d[unknown, 0] = wrap(boxes3d[unknown, 7] - np.arctan2(boxes3d[unknown, 4], boxes3d[unknown, 6]))
    return boxes3d


def write_rows(path: Path, names: Sequence[str], rows: Results, digits: int) -> None:
    """`write_results` of what a model found: "boxes" [N, 4], "scores" [N] and, where there are, 3D boxes."""
    boxes3d = np.full((len(names), 8), np.nan) if records.known(rows) is None else records.columns(rows)
    write_results(path, names, rows["boxes"], boxes3d, rows["scores"], digits)


def read(path: Path, classes: Sequence[str]) -> dict[str, np.ndarray]:
    """Reads the results of one image; lines of other classes are left out.

    Args:
        path: Such as results/000007.txt; an empty file tells that nothing was found.
        classes: Names; case does not count, as in the devkit, and spaces are written as "_".

    Returns:
        "boxes" [K, 4], "scores" [K], "classes" [K] int64 and the rows of the 3D boxes.

    Raises:
        DataError: The file cannot be understood, or a result has no score or no 3D box.
    """
    places = {name.replace(" ", "_").lower(): place for place, name in enumerate(classes)}
    lines = read_lines(path)
    names = [name.lower() for name in lines.names]
    kept = [row for row, name in enumerate(names) if name in places]
    if not np.isfinite(np.column_stack([lines.scores, lines.boxes3d])[kept]).all():
        raise DataError(f"{path}: a line has no score or no 3D box. Expected the 16 columns of KITTI's results.")
    found = records.from_columns(with_orientations(lines.boxes3d[kept]))
    del found["has_box3d"]
    labels = np.array([places[names[row]] for row in kept], np.int64)
    return {"boxes": lines.boxes[kept], "scores": lines.scores[kept], "classes": labels, **found}


def read_camera(path: Path, camera: str = "P2") -> np.ndarray:
    """Reads the matrix of a camera from a calibration file; P2 is the left colour camera, which image_2 is from.

    Returns:
        [3, 4] float32.

    Raises:
        UsageError: There is no such file.
        DataError: The file has no line of this camera with 12 finite numbers, or several.
    """
    if not is_file(path):
        raise UsageError(f"{path}: no such calibration file.")
    rows = [line.replace(":", " ").split() for line in read_text_lines(path, DataError)]
    found = [columns for name, *columns in filter(None, rows) if name == camera]
    if len(found) > 1:
        raise DataError(f"{path}: {len(found)} lines '{camera}: '; expected one. Remove the others.")
    try:
        matrix = np.array([float(column) for column in found[0]], np.float64).reshape(3, 4)
    except (IndexError, ValueError):
        matrix = np.full((3, 4), np.nan)
    if not (np.abs(matrix) <= np.finfo(np.float32).max).all():
        raise DataError(f"{path}: no line '{camera}: ' with 12 numbers. Expected a calibration file of KITTI.")
    return matrix.astype(np.float32)
