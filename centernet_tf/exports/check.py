"""Runs what was exported beside its model, reports the differences, and fails where they are too large."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from rich.table import Table

from centernet_tf.data.dataset import Dataset, iterate
from centernet_tf.datasets.drawn import shapes
from centernet_tf.detector import frames as beside
from centernet_tf.detector.detector import Detector, load
from centernet_tf.errors import UsageError
from centernet_tf.evaluation import with_properties
from centernet_tf.exports.parity import Parity, compare, measure, require, write_report
from centernet_tf.exports.runner import Runner, clipped
from centernet_tf.exports.runners import KerasRunner, LiteRunner, SavedModelRunner, open_runner
from centernet_tf.media.images import read_image
from centernet_tf.results import Detections

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
    if isinstance(runner, SavedModelRunner) and runner.clip is not None and runner.state is not None:
        return {f"{runner.kind}, clips": SavedModelRunner(out, streams=False), f"{runner.kind}, frames": runner}
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
    detector = detector.with_input(first.size) if first.size else detector
    if first.carried is not None or first.clip is not None:
        compare_video = _compare_videos if first.clip is None else _compare_windows
        results = compare_video(detector, runners, records)
        write_report(_report_of(out), results)
        require(results, kind)
        return _table(results, records)
    reference = KerasRunner(model, detector, first.window)
    images = list(sample_images(records, COMPARED))
    results = []
    for number, (name, runner) in enumerate(runners.items()):
        # Both kernels give the same numbers; the AP of one is enough.
        scored = records if number == 0 else None
        results.append(measure(name, reference, runner, images, runner.limit, scored))
    write_report(_report_of(out), results)
    require(results, kind)
    return _table(results, records)


def _report_of(out: Path) -> Path:
    return out / "parity.json" if out.is_dir() else out.with_suffix(".parity.json")


def sample_frames(records: Dataset | None, most: int) -> Iterator[np.ndarray]:
    """The first frames [H, W, 3] uint8 RGB of the first video of records; without them, what a camera on its way sees.

    It moves over drawn shapes, several pixels a frame.
    """
    if records is None:
        (item,) = shapes.read(1, (512, 640), split="parity", scene=shapes.Scene(objects=(6, 6))).items
        for place in range(most):
            yield item.source[3 * place :, 5 * place :][:384, :512]
        return
    videos = itertools.groupby(iterate(records), lambda record: record.video)
    _, frames = next((pair for pair in videos if pair[0]), ("", ()))
    for record in itertools.islice(frames, most):
        yield read_image(record.image)


def _frames_of_one(records: Dataset | None) -> list[np.ndarray]:
    frames = list(sample_frames(records, COMPARED))
    if not frames:
        raise UsageError("The records hold no video, with which a model of videos is compared. Leave out --data.")
    return frames


def _compare_windows(detector: Detector, runners: dict[str, Runner], records: Dataset | None) -> list[Parity]:
    """Each file of a model of clips beside whole clips through the model, on the frames of one video."""
    frames = _frames_of_one(records)
    expected = list(detector.stream(beside.windows(frames, detector.tasks.inputs), 0.0))
    results = []
    for name, runner in runners.items():
        pairs = (
            (clipped(one, runner.window(frame)), found)
            for frame, one, found in zip(frames, expected, runner.windows(frames))
        )
        results.append(compare(name, pairs, runner.limit))
    return results


def _compare_videos(detector: Detector, runners: dict[str, Runner], records: Dataset | None) -> list[Parity]:
    """Each file beside the tracker of its model, on the frames of one video."""
    frames = _frames_of_one(records)
    results = []
    for name, runner in runners.items():
        tracker = detector.tracker()
        results.append(measure(name, _cut(tracker.step, runner), runner.step, frames, runner.limit))
    return results


def _cut(step: Callable[[np.ndarray], Detections], runner: Runner) -> Callable[[np.ndarray], Detections]:
    """A tracker's step with boxes cut as those of a runner."""
    return lambda frame: clipped(step(frame), runner.window(frame))


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
