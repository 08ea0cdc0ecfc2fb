"""Scores results that lie in files, of whatever program, on records."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from centernet_tf.data.dataset import Dataset, Record, iterate
from centernet_tf.errors import UsageError
from centernet_tf.evaluation import MOST, Scores, score
from centernet_tf.properties import PROPERTIES
from centernet_tf.properties.property import Property, ResultFiles
from centernet_tf.results import Detections


def evaluate_files(
    folder: str | Path, dataset: Dataset, advance: Callable[[int], None] = lambda count: None, **options: Any
) -> Scores:
    """Scores results that lie in files, of whatever program, on records.

    Args:
        folder: A file for each image, called as it and in a format of a property that the records have.
        dataset: Records.
        advance: Called with 1 after each image.
        options: See `score`.

    Raises:
        UsageError: There are no such files, or the records lack their property.
        DataError: A file is missing or cannot be understood.
    """
    folder = Path(folder)
    measured, files = _find_format(folder, dataset)
    found = _read_results(folder, files, measured, dataset, advance)
    return score(found, dataset.classes, [measured], MOST, **options)


def _find_format(folder: Path, dataset: Dataset) -> tuple[Property, ResultFiles]:
    """The format of result files in a folder, and the records' property that they tell of."""
    known = [(name, files) for name, kind in PROPERTIES.items() for files in kind.result_files.values() if files.read]
    there = [(name, files) for name, files in known if any(folder.glob(f"*{files.suffix}"))]
    if not there:
        formats = ", ".join(
            f"{name} (*{files.suffix})"
            for kind in PROPERTIES.values()
            for name, files in kind.result_files.items()
            if files.read
        )
        raise UsageError(
            f"{folder}: no result files. Known: {formats}. Give a folder with one for each image, or a .keras file."
        )
    fitting = [(dataset.property(name), files) for name, files in there if dataset.property(name) is not None]
    if not fitting:
        names = " or ".join(dict.fromkeys(name for name, _ in there))
        raise UsageError(f"{folder}: these are results of {names}, which the records in {dataset.directory} lack.")
    # Formats may share a suffix: the one that the first file is in counts, any of them where it is damaged.
    return next(
        ((one, files) for one, files in fitting if files.owns(min(folder.glob(f"*{files.suffix}")))), fitting[0]
    )


def _read_results(
    folder: Path, files: ResultFiles, measured: Property, dataset: Dataset, advance: Callable[[int], None]
) -> Iterator[tuple[Record, Detections]]:
    """Each record and what its file tells; an empty file tells that nothing was found."""
    of_images = [field.name for field in measured.fields if field.level == "image"]
    for record in iterate(dataset):
        rows = dict(files.read(folder / f"{Path(record.filename).stem}{files.suffix}", dataset.classes))
        boxes, scores, classes = (rows.pop(name) for name in ("boxes", "scores", "classes"))
        yield (
            record,
            Detections(
                boxes,
                scores,
                classes,
                dataset.classes,
                (record.width, record.height),
                rows,
                properties=(measured,),
                extras={name: record.rows[name] for name in of_images},
            ),
        )
        advance(1)
