"""MOTChallenge's text files: a line for each box of each frame of a video.

MOTChallenge counts pixels from 1, but the originals take its numbers as they are, and so does everybody who compares
with them; files of other programs count from 0.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from centernet_tf.errors import DataError
from centernet_tf.host import files
from centernet_tf.host.reading import read_lines

COLUMNS = 6  # frame, identity, left, top, width, height; what follows differs from year to year


def read_rows(path: Path) -> np.ndarray:
    """The lines of gt.txt, det.txt or a result.

    Args:
        path: A text file of numbers with commas or spaces between.

    Returns:
        [N, C] float64, one row a line, in their order; C is 10 or what the file has, at least 7: frame from 1,
        identity, left, top, width, height in pixels, then a flag or a score, and more.

    Raises:
        DataError: A line is no list of finite numbers, or they differ in length; its number is told.
    """
    rows: list[list[float]] = []
    for place, line in enumerate(read_lines(path, DataError), start=1):
        if not line.strip():
            continue
        try:
            row = [float(text) for text in line.replace(",", " ").split()]
        except ValueError:
            row = []
        if len(row) <= COLUMNS or not np.isfinite(row).all():
            raise DataError(
                f"{path}: line {place} is {line.strip()!r:.80}; expected at least 7 numbers: frame, identity, left, "
                "top, width, height, flag."
            )
        if rows and len(row) != len(rows[0]):
            raise DataError(f"{path}: line {place} has {len(row)} numbers, those before it {len(rows[0])}.")
        rows.append(row)
    return np.array(rows, np.float64).reshape(len(rows), -1 if rows else COLUMNS + 1)


def boxes_by_frame(path: Path) -> dict[int, np.ndarray]:
    """The boxes of another detector in det.txt, as MOTChallenge gives them away with its videos.

    Returns:
        {frame from 1: [P, 5] left, top, right, bottom in pixels, and the score}.

    Raises:
        DataError: As `read_rows`, or a box has no area.
    """
    rows = read_rows(path)
    if (empty := np.flatnonzero((rows[:, 4:6] <= 0).any(axis=1))).size:
        raise DataError(f"{path}: box {empty[0] + 1} is {rows[empty[0], 4:6].tolist()} wide and high; expected more.")
    boxes = np.concatenate([rows[:, 2:4], rows[:, 2:4] + rows[:, 4:6], rows[:, 6:7]], axis=1)
    return {int(frame): boxes[rows[:, 0] == frame] for frame in np.unique(rows[:, 0])}


def result_lines(frame: int, ids: Sequence[int], boxes: np.ndarray, scores: np.ndarray) -> list[str]:
    """A frame's lines of a result file.

    Args:
        frame: Its number, from 1.
        ids: [N] identities from 1.
        boxes: [N, 4] left, top, right, bottom in pixels.
        scores: [N].
    """
    return [
        f"{frame},{number},{left:.2f},{top:.2f},{right - left:.2f},{bottom - top:.2f},{score:.4f},-1,-1,-1"
        for number, (left, top, right, bottom), score in zip(ids, np.asarray(boxes, float), scores)
    ]


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Writes a result file, whole or not at all."""
    with files.whole_file(path) as file:
        file.writelines(f"{line}\n" for line in lines)


def is_result(path: Path) -> bool:
    """Whether a file is empty or begins as a result does, not as annotations do."""
    with path.open("rb") as file:
        line = file.readline(1000).strip()
    return not line or (line.count(b",") == 9 and line.endswith(b",-1,-1,-1"))
