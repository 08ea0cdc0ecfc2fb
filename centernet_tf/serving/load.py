"""Many clients at once against a server, with invalid files among the valid ones, and whether each got its own answer.

    python -m centernet_tf.serving.load http://localhost:8501 shapes images/ --requests 2000 --clients 32

First every file is asked for alone; under load each must be answered as it was then. One request in ten is an invalid
file (empty, cut off, or no image), which must be refused. Ends with 1 where an answer was wrong.
"""

import argparse
import dataclasses
import itertools
import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydantic

from centernet_tf.errors import DataError, UsageError
from centernet_tf.media.images import list_images
from centernet_tf.serving.client import GrpcClient, RestClient, ServerError

SCORES = "detection_scores"
Ask = Callable[[Sequence[bytes]], Mapping[str, Any]]


@dataclasses.dataclass(frozen=True)
class Sample:
    """A file to send.

    Attributes:
        name: For messages.
        data: The file.
        scores: [K] that the server must answer; None where it must refuse.
    """

    name: str
    data: bytes
    scores: np.ndarray | None


@dataclasses.dataclass
class Load:
    """What became of the requests.

    Attributes:
        seconds: From the first request to the last answer.
        latencies: Seconds of each answered request.
        refused: Invalid files that were refused, as they must be.
        faults: What went otherwise: (name of the file, what happened).
    """

    seconds: float = 0.0
    latencies: list[float] = dataclasses.field(default_factory=list)
    refused: int = 0
    faults: list[tuple[str, str]] = dataclasses.field(default_factory=list)

    @property
    def count(self) -> int:
        """Requests that something became of."""
        return len(self.latencies) + self.refused + len(self.faults)

    def summary(self) -> dict[str, float]:
        """Counts, requests a second, and median, 95th and 99th percentile of the answered ones in milliseconds."""
        marks = np.percentile(self.latencies, (50, 95, 99)) * 1e3 if self.latencies else [float("nan")] * 3
        return {
            "answered": len(self.latencies),
            "refused": self.refused,
            "faults": len(self.faults),
            "requests_per_second": round(self.count / self.seconds, 2),
            **{name: round(float(mark), 1) for name, mark in zip(("p50_ms", "p95_ms", "p99_ms"), marks)},
        }


def samples_of(ask: Ask, files: Mapping[str, bytes], wrong: int = 10) -> list[Sample]:
    """Asks for every file alone, and mixes invalid ones in.

    Args:
        ask: As `Client.ask`.
        files: {name: file}.
        wrong: One sample in as many is an invalid file; 0 for none.

    Returns:
        Samples in the order they are to be sent, over and over.
    """
    right = [Sample(name, data, np.asarray(ask([data])[SCORES], np.float32)[0]) for name, data in files.items()]
    if not wrong:
        return right
    name, data = next(iter(files.items()))
    broken = [
        Sample("an empty file", b"", None),
        Sample(f"half of {name}", data[: len(data) // 2], None),
        Sample("no image", b"no image" * 100, None),
    ]
    lists = itertools.cycle(right), itertools.cycle(broken)
    return [next(lists[number % wrong == wrong - 1]) for number in range(wrong * len(right) * len(broken))]


def run_load(ask: Ask, samples: Sequence[Sample], requests: int = 2000, clients: int = 32) -> Load:
    """Sends one file a request from many threads.

    Args:
        ask: As `Client.ask`, shared by the threads.
        samples: What to send, over and over.
        requests: How many in all.
        clients: Threads.

    Returns:
        What became of every request: those answered, refused and faults are `requests` together.

    Raises:
        UsageError: There is nothing to send, nobody to send it, or not so many threads can be started.
    """
    if not samples or requests < 1 or clients < 1:
        raise UsageError(
            f"{len(samples)} files, {requests} requests and {clients} clients; expected at least one of each."
        )
    load, lock, stopped = Load(), threading.Lock(), threading.Event()
    waiting = iter(range(requests))

    def work() -> None:
        while True:
            with lock:
                number = next(waiting, None)
            if number is None or stopped.is_set():
                return
            sample = samples[number % len(samples)]
            start = time.perf_counter()
            try:
                fault = _fault(ask, sample)
            except BaseException as error:  # A thread that died would take its requests with it, and nobody would know.
                fault = f"{type(error).__name__}: {error}"
            spent = time.perf_counter() - start
            with lock:
                if fault:
                    load.faults.append((sample.name, fault))
                elif sample.scores is None:
                    load.refused += 1
                else:
                    load.latencies.append(spent)

    start = time.perf_counter()
    _run_threads(work, clients, stopped.set)
    load.seconds = time.perf_counter() - start
    # Held whatever happens above.
    load.faults += [("", "neither answered nor refused")] * (requests - load.count)
    return load


def _run_threads(work: Callable[[], None], count: int, stop: Callable[[], Any]) -> None:
    """Runs `work` in so many threads at once; where they cannot all be started, `stop` ends those that are."""
    threads = [threading.Thread(target=work) for _ in range(count)]
    started = []
    try:
        for thread in threads:
            thread.start()
            started.append(thread)
    except RuntimeError as error:
        stop()
        raise UsageError(f"only {len(started)} of {count} clients can be started ({error}). Use fewer.") from error
    finally:
        for thread in started:
            thread.join()


def _fault(ask: Ask, sample: Sample) -> str | None:
    """Sends one file; what was wrong with the answer."""
    try:
        scores = np.asarray(ask([sample.data])[SCORES], np.float32)[0]
    except ServerError as error:
        # Refused is what an invalid file must be; no answer at all, or a fault of the server, is not.
        refused = sample.scores is None and error.status in (400, 3)
        return None if refused else str(error)
    if sample.scores is None:
        return "answered, although it is not an image"
    if scores.shape != sample.scores.shape:
        return f"{scores.shape} scores, but {sample.scores.shape} when asked for alone"
    apart = float(np.abs(scores - sample.scores).max(initial=0))
    return None if apart <= 1e-3 else f"scores are {apart:.3g} away from those asked for alone"


def read_extra(name: str, path: Path) -> np.ndarray:
    """What a file holds for all images, read as the task that takes an extra of this name reads it.

    Raises:
        UsageError: No task takes it, or as the reader says, like DataError.
    """
    # Keras takes seconds, which only this needs.
    from centernet_tf.points.centers import Centers
    from centernet_tf.tasks import TASKS

    for settings in TASKS.values():
        try:
            extras = settings().build(Centers(1)).extras
        except (UsageError, pydantic.ValidationError):  # A task that nothing can be said of without its settings.
            continue
        for extra in extras:
            if extra.name == name and extra.read:
                return extra.read(path)(str(path))
    raise UsageError(f"No task takes {name} of each image from a file. Leave --{name} out.")


def _with_extra(ask: Callable[..., Mapping[str, Any]], name: str, value: np.ndarray) -> Ask:
    return lambda files: ask(files, {name: np.stack([value] * len(files))})


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m centernet_tf.serving.load", description=__doc__.split("\n")[0])
    parser.add_argument("address", help="http://localhost:8501 for REST, localhost:8500 for gRPC")
    parser.add_argument("model", help="its name on the server")
    parser.add_argument("images", help="folder of images")
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--wrong", type=int, default=10, help="one request in this many is an invalid file; 0 for none")
    parser.add_argument("--camera", type=Path, help="that of all images, for models of 3D boxes: a file as for detect")
    options = parser.parse_args(arguments)
    kind = RestClient if "://" in options.address else GrpcClient
    try:
        ask = kind(options.address, options.model, ()).ask
        if options.camera:
            ask = _with_extra(ask, "camera", read_extra("camera", options.camera))
        files = {path.name: path.read_bytes() for path in list_images(options.images)}
        load = run_load(ask, samples_of(ask, files, options.wrong), options.requests, options.clients)
    except (UsageError, DataError) as error:
        parser.error(str(error))
    print(json.dumps(load.summary(), indent=2))
    for name, fault in load.faults[:20]:
        print(f"{name}: {fault}")
    return 1 if load.faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
