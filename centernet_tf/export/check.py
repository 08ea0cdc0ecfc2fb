"""Runs what was exported beside its model, reports the differences, and fails where they are too large."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rich.table import Table

from centernet_tf.data.dataset import Dataset, iterate
from centernet_tf.datasets.drawn import shapes
from centernet_tf.detector.detector import load
from centernet_tf.evaluate import with_properties
from centernet_tf.export.parity import Parity, measure, require, write_report
from centernet_tf.export.runners import KerasRunner, LiteRunner, Runner, open_runner
from centernet_tf.media.images import read_image

COMPARED = 16  # Images of the records that are compared object by object.
DRAWN = 4


def sample_images(records: Dataset | None, most: int | None) -> Iterator[np.ndarray]:
    """Images [H, W, 3] uint8 RGB of records, the first ones; without records, drawn shapes in three sizes."""
    if records is not None:
        for record in itertools.islice(iterate(records), most):
            yield read_image(record.image)
        return
    for size in ((480, 640), (333, 250), (512, 512)):
        _, items, _ = shapes.read(DRAWN, size, split="parity")
        for item in items:
            yield item.source


def runners_of(out: Path) -> dict[str, Runner]:
    """Everything that runs an exported file here: for TFLite both kinds of kernels, as phones use either."""
    if out.suffix == ".tflite":
        return {"TFLite, XNNPACK": LiteRunner(out), "TFLite, built-in kernels": LiteRunner(out, delegate=False)}
    runner = open_runner(out)
    return {runner.kind: runner}


def check_export(model: Path, out: Path, kind: str, records: Dataset | None) -> Table:
    """Compares an exported file with its model.

    Args:
        model: The model file.
        out: What was made of it.
        kind: Key of `parity.LIMITS`.
        records: To compare and to score on; without them drawn images are used, and no AP is measured.

    Returns:
        The comparison for people. It is also written beside the file.

    Raises:
        DataError: A limit is crossed.
    """
    runners = runners_of(out)
    detector = load(model)
    records = with_properties(records, detector) if records else None
    first = next(iter(runners.values()))
    reference = KerasRunner(model, detector.with_input(first.size) if first.size else detector, first.window)
    images = list(sample_images(records, COMPARED))
    results = []
    for number, (name, runner) in enumerate(runners.items()):
        # Both kernels give the same numbers; the AP of one is enough.
        scored = records if number == 0 else None
        results.append(measure(name, reference, runner, images, runner.limit, scored))
    write_report(out / "parity.json" if out.is_dir() else out.with_suffix(".parity.json"), results)
    require(results, kind)
    return _table(results, records)


def _table(results: list[Parity], records: Dataset | None) -> Table:
    """One column for each runner, so that all fields of all tasks have room."""
    title = f"Beside the model, on {results[0].images} {'images of the records' if records else 'drawn images'}"
    table = Table("", title=title, title_justify="left")
    for one in results:
        table.add_column(one.name, justify="right")
    table.add_row("objects", *(str(one.objects) for one in results))
    table.add_row("boxes, px", *(f"{one.boxes:.2g}" for one in results))
    table.add_row("scores", *(f"{one.scores:.2g}" for one in results))
    for name in dict.fromkeys(name for one in results for name in one.fields):
        table.add_row(name.replace("_", " "), *(f"{one.fields.get(name, 0.0):.2g}" for one in results))
    table.add_row("found again", *(f"{one.matched:.2%}" for one in results))
    for name in dict.fromkeys(name for one in results for name in one.ap):
        table.add_row(name, *(f"{one.ap[name]:+.4f}" if name in one.ap else "" for one in results))
    return table
