"""Time, memory and size of one model, from a JPEG's bytes to its objects; run in a process of its own."""

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from centernet_tf.benchmark.timing import PeakMemory, in_fresh_process
from centernet_tf.detector.detector import as_image
from centernet_tf.detector.extras import complete
from centernet_tf.exports.runners import open_runner
from centernet_tf.model.shipped import find

STEPS = ("read", "fit", "run", "finish")


def measure(path: str | Path, images: Sequence[str | Path], rounds: int) -> dict[str, float]:
    """Runs a model over images, again and again, one at a time.

    Args:
        path: The model, in any format that `open_runner` knows.
        images: Files.
        rounds: Passes over all images that count; one more goes before, for compilation and caches.

    Returns:
        "median" and "p95" of an image in ms; medians of the steps "read" (decoding the file), "fit" (to the model's
        input), "run" and "finish" (to pixels of the image); "memory" in MB above what the libraries took before the
        model was opened, at its peak; "size" of the file or folder in MB.
    """
    files = [Path(image).read_bytes() for image in images]
    with PeakMemory() as memory:
        runner = open_runner(path)
        times: dict[str, list[float]] = {step: [] for step in STEPS}
        for turn in range(rounds + 1):
            for file in files:
                for step, taken in zip(STEPS, _one(runner, file)):
                    if turn:
                        times[step].append(taken * 1e3)
    whole = np.sum([times[step] for step in STEPS], axis=0)
    return {
        "median": float(np.median(whole)),
        "p95": float(np.percentile(whole, 95)),
        **{step: float(np.median(times[step])) for step in STEPS},
        "memory": memory.megabytes,
        "size": _size(find(path)) / 1e6,
    }


def measure_apart(path: str | Path, images: Sequence[str | Path], rounds: int) -> dict[str, float]:
    """`measure` in a fresh process, so that one model's memory does not count for another's."""
    return in_fresh_process(__name__, str(path), str(rounds), *map(str, images))


def _one(runner, file: bytes) -> list[float]:
    """Seconds that each step of one image took."""
    marks = [time.perf_counter()]
    image = as_image(file)
    marks.append(time.perf_counter())
    inputs, fit = runner.fit(runner.shown(image))
    extras = complete({}, runner.extras)
    fitted = runner.fit_extras(extras, fit)
    marks.append(time.perf_counter())
    answers = runner.run(inputs, {**fitted, **runner.beginning(inputs)})
    marks.append(time.perf_counter())
    runner.finish(answers, inputs, fit, image, extras)
    marks.append(time.perf_counter())
    return list(np.diff(marks))


def _size(path: Path) -> int:
    return sum(one.stat().st_size for one in path.rglob("*") if one.is_file()) if path.is_dir() else path.stat().st_size


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], sys.argv[3:], int(sys.argv[2]))))
