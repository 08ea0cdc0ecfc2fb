"""`centernet detect` where results go into shards: --format, --engine, --workers, --block-size."""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from centernet_tf.cli.counts import counted, objects_told
from centernet_tf.cli.progress import progress
from centernet_tf.errors import UsageError, closest
from centernet_tf.host.plain import plain
from centernet_tf.model.shipped import find

if TYPE_CHECKING:
    from centernet_tf.detector.detector import Detector
    from centernet_tf.shards.run import Tally

WHOLE = "json"  # the format that is one file
BLOCK_SIZE = 500

Format = Annotated[
    str | None,
    typer.Option(
        "--format",
        help="json: one file, with drawn images. jsonl or parquet: for very many images, a file for each block in OUT; "
        "run the same command again to go on where it was stopped. Default: json, of --engine ray jsonl.",
    ),
]
Engine = Annotated[
    str, typer.Option(help="local: this process. ray: workers of Ray on this machine, or on RAY_ADDRESS's cluster.")
]
Workers = Annotated[
    int | None,
    typer.Option(min=1, help="ray: processes, each with the model and its share of the cores. Default: one for 4."),
]
BlockSize = Annotated[
    int | None, typer.Option(min=1, help=f"jsonl, parquet: images of each file. Default: {BLOCK_SIZE}.")
]


@dataclasses.dataclass(frozen=True)
class Sharding:
    """The options as they were given; None where they were not."""

    engine: str
    format: str | None
    workers: int | None
    block_size: int | None

    @property
    def wanted(self) -> bool:
        """Whether results go into shards."""
        return self.chosen_format != WHOLE

    @property
    def chosen_format(self) -> str:
        return self.format or (WHOLE if self.engine == "local" else "jsonl")

    def check(self, others: Mapping[str, Any]) -> None:
        """Checks what was given before any work.

        Args:
            others: {option: value} of options that write what shards do not hold; those that are false are not given.

        Raises:
            UsageError: Unknown, impossible, or a package is missing.
        """
        from centernet_tf.shards.engines import ENGINES
        from centernet_tf.shards.formats import FORMATS, check_packages

        _check_known("--engine", self.engine, ENGINES)
        _check_known("--format", self.chosen_format, (WHOLE, *FORMATS))
        if self.workers and not ENGINES[self.engine].apart:
            raise UsageError(f"--workers: --engine {self.engine} has none. Give --engine ray, or leave it out.")
        if not self.wanted:
            if self.engine != "local":
                raise UsageError(f"--engine {self.engine} writes shards: give --format {' or '.join(FORMATS)}.")
            if self.block_size:
                raise UsageError("--block-size is of shards: give --format jsonl or parquet, or leave it out.")
            return
        for option, value in others.items():
            if value:
                raise UsageError(f"--{option}: is not written with --format {self.chosen_format}. Leave one out.")
        check_packages(f"--engine {self.engine}", ENGINES[self.engine].needs)
        check_packages(f"--format {self.chosen_format}", FORMATS[self.chosen_format].needs)


def detect_in_shards(
    sharding: Sharding,
    model: Path,
    inputs: Sequence[str],
    out: Path,
    load: Callable[[], "Detector"],
    read_extras: Callable[["Detector"], Mapping[str, Any]],
    threshold: float | None,
    batch_size: int,
    skip_bad: bool,
    settings: Mapping[str, Any],
) -> None:
    """Runs or continues a run, and prints what it found; `settings` are further options that results depend on."""
    from centernet_tf.data.dataset import sha256_of
    from centernet_tf.detector.found import chosen
    from centernet_tf.predict import check_still, head_of
    from centernet_tf.shards.block import Job
    from centernet_tf.shards.engines import ENGINES
    from centernet_tf.shards.run import begun

    engine, begin = ENGINES[sharding.engine], time.perf_counter()
    detector = load()
    check_still(detector, inputs[0])
    read_extras(detector)
    level = chosen(threshold, detector.card)
    head = {**head_of(detector, level, str(model)), "model_sha256": sha256_of(find(model)), **settings}
    format, size = sharding.chosen_format, sharding.block_size or BLOCK_SIZE
    load = load if engine.apart else lambda: detector
    job = Job(out.resolve(), format, Path.cwd(), load, read_extras, level, batch_size, skip_bad)
    with begun(out, inputs, head, format, size) as run:
        missing, done = run.missing(), 0
        with progress() as bar:
            task = bar.add_task("images", total=sum(block.count for block in missing))
            for count in engine.run(job, missing, sharding.workers):
                done += count
                bar.update(task, completed=done)
        seconds = time.perf_counter() - begin
        tally = run.finish(searched_now=done, seconds=round(seconds, 1), images_per_second=round(done / seconds, 2))
    console = Console(soft_wrap=True, highlight=False)
    for line in report(tally, done, seconds, out / f"part-*.{format}"):
        console.print(plain(line))


def report(tally: "Tally", done: int, seconds: float, parts: Path) -> list[str]:
    """What was found, what could not be read, how long it took and where the results are."""
    lines = [f"{counted(tally.images, 'image')}: {objects_told(tally.objects)}"]
    if tally.bad:
        lines.append(f"Could not be read: {tally.bad}")
        lines += [f"  {reason}" if name in reason else f"  {name}: {reason}" for name, reason in tally.examples]
        if tally.bad > len(tally.examples):
            lines.append(f"  and {tally.bad - len(tally.examples)} more, all of them in the results")
    before = tally.images + tally.bad - done
    lines.append(
        f"{counted(done, 'image')} in {seconds:.1f} s: {done / seconds:.1f} images/s"
        + (f"; {before} were done before" if before else "")
    )
    return [*lines, f"Results: {parts}"]


def _check_known(option: str, value: str, known: Any) -> None:
    if value not in known:
        raise UsageError(f"{option} {value!r}: unknown.{closest(value, known)} Known: {', '.join(known)}.")
