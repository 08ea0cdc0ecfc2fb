"""Images converted by Apache Beam: by several processes of this machine, or by Dataflow, Flink or Spark.

Items go to the workers in chunks, and what became of them comes back in files, which are counted and written here one
after another as if a thread had made them: so the report, the shards and the first error are those of threads.
"""

import contextlib
import io
import itertools
import logging
import os
import pickle
import shutil
import socket
import threading
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from centernet_tf.datasets.items import Item
from centernet_tf.datasets.outcomes import Outcome, Runner, compact, convert, in_order
from centernet_tf.errors import DataError, UsageError
from centernet_tf.host.bucket import Bucket, as_place, put_bytes
from centernet_tf.properties.property import Property

CHUNK = 64  # images; bounds what a worker holds
_WANTED = "wanted"  # a file that is there while chunks are
_SOONEST, _LATEST = 0.02, 2.0  # seconds between two looks whether a chunk is done


def check_beam(options: Sequence[str] = ()) -> None:
    """Raises UsageError where Apache Beam is missing, or an option of it has an impossible value.

    Options that it does not know are for its runners.
    """
    try:
        from apache_beam.options.pipeline_options import PipelineOptions
    except ImportError as error:
        raise UsageError(
            f"Apache Beam is missing ({error}). pip install 'centernet_tf[beam]', or leave --runner out."
        ) from None
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            PipelineOptions(list(options)).get_all_options()
    except SystemExit:
        raise UsageError(f"Apache Beam: {said.getvalue().strip().rpartition('error: ')[2]}.") from None


def by_beam(options: Sequence[str] = (), workers: int | None = None) -> Runner:
    """Converts images by Apache Beam.

    Args:
        options: Of Beam, such as ["--runner=FlinkRunner", "--flink_master=host:8081"]; without any, processes of this
            machine do the work. Chunks lie under --temp_location where that is given, which all workers must reach;
            else in the folder for what is temporary. They are pickles: whoever may write there runs code here.
        workers: Processes, where they are of this machine; None takes one for each core.
    """
    given = list(options)
    ours = ["--runner=DirectRunner", "--direct_running_mode=multi_processing"]
    ours += [f"--direct_num_workers={workers or os.cpu_count() or 1}", "--default_sdk_harness_log_level=ERROR"]

    def run(
        items: Iterable[Item], classes: tuple[str, ...], properties: tuple[Property, ...], temporary: Path
    ) -> Iterator[Outcome]:
        with _staging([*ours, *given], temporary) as place:
            chunks, source = _sent(items, place)
            work = _Work(source, classes, properties, place)
            with contextlib.closing(_outcomes(work, chunks, [*ours, *given])) as done:
                outcomes, again = itertools.tee(done)
                for outcome, _ in zip(outcomes, in_order(one.item for one in again)):
                    yield outcome

    return run


class _Work:
    """What a worker does of a chunk, by its number: from items to outcomes, and an error behind the last.

    Args:
        source: Items by their place, where a worker can make them itself; None where they lie in files.
        classes: Names of the classes.
        properties: Of the objects.
        place: Where chunks lie.
    """

    def __init__(
        self,
        source: Sequence[Item] | None,
        classes: tuple[str, ...],
        properties: tuple[Property, ...],
        place: Path | Bucket,
    ) -> None:
        self.source, self.classes, self.properties, self.place = source, classes, properties, place

    def __call__(self, number: int) -> None:
        from centernet_tf.data.examine import leave_gpu

        if not (self.place / _WANTED).exists():
            return
        leave_gpu()
        working = self.place / f"{number:08d}.worker"
        put_bytes(working, f"{socket.gethostname()} {os.getpid()}".encode(), sync=False)
        done: list[Outcome | Exception] = []
        try:
            for item in self._items(number):
                done.append(compact(convert(item, self.classes, self.properties)))
        except (DataError, UsageError) as error:  # Others are faults of the machine, which Beam may try again.
            done.append(error)
        if (self.place / _WANTED).exists():
            put_bytes(self.place / _done(number), pickle.dumps(done), sync=False)
        working.unlink(missing_ok=True)

    def _items(self, number: int) -> Iterable[Item]:
        if self.source is None:
            return pickle.loads((self.place / _to_do(number)).read_bytes())
        numbers = range(number * CHUNK, min((number + 1) * CHUNK, len(self.source)))
        return (self.source[index] for index in numbers)


class _Pipeline(threading.Thread):
    """Runs the pipeline.

    Attributes:
        fault: How it ended, if not well.
        lost: Whether it never ends, for Beam waits forever for a process of this machine that was killed.
    """

    def __init__(self, work: _Work, chunks: int, options: Sequence[str]) -> None:
        super().__init__(daemon=True)
        self._work, self._chunks, self._options = work, chunks, options
        self.fault: Exception | None = None
        self.lost = False

    def run(self) -> None:
        """Ends when every chunk is done, or none will be any more."""
        import apache_beam as beam
        from apache_beam.options.pipeline_options import PipelineOptions

        logging.getLogger("apache_beam").setLevel(logging.ERROR)  # It warns of what nobody here chose.
        try:
            pipeline = beam.Pipeline(options=PipelineOptions(list(self._options)))
            numbers = pipeline | beam.Create(range(self._chunks))
            # Without it, a runner may leave all to the worker that made the numbers.
            _ = numbers | beam.Reshuffle() | beam.Map(self._work)
            state = pipeline.run().wait_until_finish()
            if state != "DONE":
                raise RuntimeError(f"the pipeline ended as {state}")
        except Exception as error:
            self.fault = error


@contextlib.contextmanager
def _staging(options: Sequence[str], temporary: Path) -> Iterator[Path | Bucket]:
    """An empty folder for chunks, which all workers reach; in the end it is removed."""
    from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions

    shared = PipelineOptions(list(options)).view_as(GoogleCloudOptions).temp_location
    place = as_place(shared) / f"centernet-{uuid.uuid4().hex}" if shared else temporary / "chunks"
    if isinstance(place, Path):
        place.mkdir(parents=True)
    try:
        yield place
    finally:
        if isinstance(place, Path):
            shutil.rmtree(place, ignore_errors=True)
        else:
            for left in place.glob("*"):
                left.unlink(missing_ok=True)


def _sent(items: Iterable[Item], place: Path | Bucket) -> tuple[int, Sequence[Item] | None]:
    """How many chunks there are, and the items if workers can make them; else these are put where chunks lie."""
    if isinstance(items, Sequence) and not isinstance(items, list | tuple):
        return -(-len(items) // CHUNK), items
    rest, number = iter(items), 0
    while chunk := list(itertools.islice(rest, CHUNK)):
        put_bytes(place / _to_do(number), pickle.dumps(chunk), sync=False)
        number += 1
    return number, None


def _outcomes(work: _Work, chunks: int, options: Sequence[str]) -> Iterator[Outcome]:
    """Outcomes in the order of the items, each chunk once it is there; errors where they came."""
    put_bytes(work.place / _WANTED, b"", sync=False)
    pipeline = _Pipeline(work, chunks, options)
    pipeline.start()
    try:
        for number in range(chunks):
            place = work.place / _done(number)
            for outcome in pickle.loads(_awaited(place, pipeline)):
                if isinstance(outcome, Exception):
                    raise outcome
                yield outcome
            place.unlink()
    finally:
        (work.place / _WANTED).unlink(missing_ok=True)
        if not pipeline.lost:
            pipeline.join()


def _awaited(place: Path | Bucket, pipeline: _Pipeline) -> bytes:
    """What a worker wrote there, as soon as it did."""
    pause = _SOONEST
    while not place.exists():
        if not pipeline.is_alive() and not place.exists():
            said = " ".join(str(pipeline.fault or "a chunk was left out").split())
            raise DataError(f"Apache Beam has stopped: ...{said[-500:]}") from pipeline.fault
        if worker := _killed(place.parent):
            pipeline.lost = True
            raise DataError(f"Apache Beam has stopped: its process {worker} was killed. Perhaps memory ran out.")
        time.sleep(pause)
        pause = min(2 * pause, _LATEST if isinstance(place, Bucket) else 10 * _SOONEST)
    return place.read_bytes()


def _killed(place: Path | Bucket) -> int | None:
    """A worker of this machine that died over a chunk."""
    if isinstance(place, Bucket) or os.name == "nt":  # Windows takes asking after a process for a wish to end it.
        return None
    for note in place.glob("*.worker"):
        with contextlib.suppress(FileNotFoundError, ValueError):
            host, worker = note.read_text().split()
            if host == socket.gethostname() and not _lives(int(worker)) and note.exists():
                return int(worker)
    return None


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _to_do(number: int) -> str:
    return f"{number:08d}.items"


def _done(number: int) -> str:
    return f"{number:08d}.outcomes"
