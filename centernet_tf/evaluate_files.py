"""Scores results that lie in files, of whatever program: KITTI's, one text file for each image."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from centernet_tf.data.records import Dataset, Record, iterate
from centernet_tf.errors import DataError, UsageError
from centernet_tf.evaluate import Scores, score
from centernet_tf.kitti_files import read_rows, with_directions
from centernet_tf.results import Detections

_MOST = 100  # results of an image that COCO's AP looks at


def read_results(
    folder: str | Path, dataset: Dataset, advance: Callable[[int], None] = lambda count: None
) -> Iterator[tuple[Record, Detections]]:
    """Reads KITTI's results for records.

    Args:
        folder: Files called as the records' images, such as 000007.txt; lines of other classes are left out.
        dataset: Records with cameras.
        advance: Called with 1 after each image.

    Yields:
        Each record and what its file tells; an empty file tells that nothing was found.

    Raises:
        UsageError: There are no files, or the records have no cameras.
        DataError: A file is missing or cannot be understood, or a result has no score or no 3D box.
    """
    folder = Path(folder)
    if not any(folder.glob("*.txt")):
        raise UsageError(f"{folder}: no text files of results. Give KITTI's, one for each image, or a .keras file.")
    if not dataset.solid:
        raise UsageError(f"{dataset.directory}: results in files are of 3D boxes, but these records have no cameras.")
    places = {name.replace(" ", "_").lower(): place for place, name in enumerate(dataset.classes)}
    for record in iterate(dataset):
        path = folder / f"{Path(record.filename).stem}.txt"
        rows = read_rows(path)
        names = [name.lower() for name in rows.names]  # as the devkit compares them
        kept = [row for row, name in enumerate(names) if name in places]
        if not np.isfinite(np.column_stack([rows.scores, rows.solids])[kept]).all():
            raise DataError(f"{path}: a line has no score or no 3D box. Expected the 16 columns of KITTI's results.")
        solids = with_directions(rows.solids[kept])
        fields = {
            "alphas": solids[:, 0],
            "dimensions": solids[:, 1:4],
            "locations": solids[:, 4:7],
            "rotations": solids[:, 7],
        }
        classes = np.array([places[names[row]] for row in kept], np.int64)
        yield record, Detections(
            rows.boxes[kept], rows.scores[kept], classes, dataset.classes, (record.width, record.height),
            fields, camera=record.camera,
        )  # fmt: skip
        advance(1)


def evaluate_files(
    folder: str | Path,
    dataset: Dataset,
    advance: Callable[[int], None] = lambda count: None,
    protocol: str = "original",
    overlap: float | None = None,
) -> Scores:
    """Scores KITTI's results on records; arguments and errors as `read_results` and `evaluate.score` have them."""
    return score(read_results(folder, dataset, advance), dataset, _MOST, protocol=protocol, overlap=overlap)
