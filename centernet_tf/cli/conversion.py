"""What all `centernet records` commands share: options, the bar while they work, the table when they are done."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from centernet_tf.cli.progress import progress
from centernet_tf.datasets.items import Split
from centernet_tf.datasets.report import Report
from centernet_tf.errors import UsageError, closest
from centernet_tf.host.bucket import Bucket, as_place
from centernet_tf.host.plain import plain
from centernet_tf.host.reading import is_file, read_lines
from centernet_tf.properties.property import Property

LISTED = 20
RUNNERS = ("direct", "beam")

Out = Annotated[
    str,
    typer.Option(
        "--out",
        metavar="PATH",
        help="Directory for this split's shards and dataset.yaml, such as tfrecords/cells/train.",
    ),
]
Name = Annotated[str | None, typer.Option(help="Name of the data set. Default: the directory above --out.")]
SplitName = Annotated[str, typer.Option(help="Name of the split, and of its shard files.")]
Classes = Annotated[str | None, typer.Option(help="Class names, 'cat,dog', or a text file with one name on each line.")]
Shards = Annotated[int | None, typer.Option(help="Number of files. Default: one for about every 100 MB.")]
Workers = Annotated[
    int | None, typer.Option(help="Threads, or processes of Beam; changes no file. Default: one for each core.")
]
SkipBad = Annotated[
    bool,
    typer.Option("--skip-bad", help="Skip invalid images and boxes and list them, instead of stopping."),
]
Outside = Annotated[
    bool, typer.Option("--outside", help="Also read images that the annotations name outside their folder.")
]


def _runner(value: str) -> str:
    """Checks the value of --runner."""
    try:
        name, *options = shlex.split(value) or [""]
    except ValueError as error:
        raise UsageError(f"--runner {value!r}: {error}.") from None
    if name not in RUNNERS or (options and name != "beam"):
        raise UsageError(f"--runner {value!r}: expected direct, beam, or beam and its options.{closest(name, RUNNERS)}")
    return value


def check_installed(runner: str) -> None:
    """Raises UsageError where what a value of --runner names is missing; called before anything is read."""
    name, *options = shlex.split(runner)
    if name == "beam":
        from centernet_tf.datasets.beam import check_beam

        check_beam(options)


RunBy = Annotated[
    str,
    typer.Option(
        "--runner",
        metavar="direct|beam",
        callback=_runner,
        help="Threads here, or Apache Beam: beam, or 'beam --runner=FlinkRunner ...' with its options.",
    ),
]


def convert(
    data: Split,
    *,
    out: str | Path | Bucket,
    name: str | None,
    split: str,
    shards: int | None,
    workers: int | None,
    skip_bad: bool = False,
    runner: str = "direct",
) -> Report:
    """Writes records with a bar on the terminal, and prints what became of the images and boxes.

    Raises:
        UsageError: See `write_records`.
        DataError: See `write_records`.
    """
    from centernet_tf.data.examine import leave_gpu
    from centernet_tf.datasets.beam import by_beam
    from centernet_tf.datasets.writer import write_records

    leave_gpu()
    by, *options = shlex.split(runner)
    classes, items, properties = data
    place = as_place(out)
    above = place.parent if isinstance(place, Bucket) else place.resolve().parent
    with progress() as bar:
        job = bar.add_task(f"records of {split}", total=len(items) if hasattr(items, "__len__") else None)
        report = write_records(
            items,
            directory=place,
            name=name or above.name,
            split=split,
            classes=classes,
            properties=properties,
            shards=shards,
            workers=workers,
            skip_bad=skip_bad,
            runner=by_beam(options, workers) if by == "beam" else None,
            progress=lambda done: bar.update(job, completed=done),
        )
    print_report(report, properties, place, Console())
    return report


def class_list(value: str | None) -> tuple[str, ...] | None:
    """Reads the value of --classes: names with commas between, or a file with one name on each line.

    Raises:
        UsageError: The file is missing or not in UTF-8, or there is no name.
    """
    if value is None:
        return None
    path = Path(value)
    if is_file(path):
        names = read_lines(path, UsageError)
    elif path.suffix in (".txt", ".names") or "/" in value:
        raise UsageError(
            f"--classes {value:.200}: no such file. Give a text file with one name on each line, or 'cat,dog'."
        )
    else:
        names = value.split(",")
    names = tuple(name.strip() for name in names if name.strip())
    if not names:
        raise UsageError(f"--classes {value!r}: no names. Give a text file with one name on each line, or 'cat,dog'.")
    return names


def print_report(report: Report, properties: Sequence[Property], out: Path | Bucket, console: Console) -> None:
    """Prints the counts of a conversion as a table, what each property counted, and the first of what was left out."""
    from centernet_tf.data.dataset import DATASET_FILE

    table = Table("", "images", "boxes", title=plain(out), title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    for label, images, boxes in _rows(report):
        table.add_row(plain(label), _figure(images), _figure(boxes))
    console.print(table)
    if report.pairs_in:
        dropped = [f"{_figure(count)} {reason}" for reason, count in sorted(report.pairs_dropped.items())]
        left_out = f", left out: {', '.join(dropped)}" if dropped else ""
        told = f"Pairs of objects: {_figure(report.pairs_in)} in, {_figure(report.pairs_written)} written{left_out}."
        console.print(plain(told), soft_wrap=True, highlight=False)
    for one in properties:
        if told := one.tell(report.properties[one.name]):
            console.print(plain(told), soft_wrap=True, highlight=False)
    troubles = [*report.images_skipped, *report.dropped, *report.dropped_pairs]
    for name, detail in troubles[:LISTED]:
        console.print(plain(f"left out: {name}: {detail}"), soft_wrap=True, highlight=False)
    if len(troubles) > LISTED:
        console.print(plain(f"... and {len(troubles) - LISTED} more; {out / DATASET_FILE} lists all."), soft_wrap=True)


def _rows(report: Report) -> list[tuple[str, int | None, int | None]]:
    skipped = len(report.images_skipped)
    dropped = dict(sorted(report.boxes_dropped.items()))
    of_skipped = dropped.pop("image skipped", 0)
    return [
        ("in", report.images_in, report.boxes_in),
        ("written", report.images_written, report.boxes_written),
        *([("left out: image skipped", skipped, of_skipped)] if skipped else []),
        *((f"left out: {reason}", None, count) for reason, count in dropped.items()),
        ("of those written:", None, None),
        *_class_rows(report),
        *((f"  {name or 'unnamed'} (ignored)", None, count) for name, count in sorted(report.ignored.items())),
        *([("  clipped to the image", None, report.boxes_clipped)] if report.boxes_clipped else []),
        *([("  without objects", report.images_empty, None)] if report.images_empty else []),
        *((f"  {reason}", count, None) for reason, count in sorted(report.images_changed.items())),
    ]


def _class_rows(report: Report) -> list[tuple[str, None, int]]:
    """Classes by name; of very many only the most frequent by count, and the sum of the rest."""
    counts = report.objects_per_class
    if len(counts) <= LISTED:
        return [(f"  {name}", None, count) for name, count in sorted(counts.items())]
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    rest = sum(count for _, count in ordered[LISTED:])
    rows = [(f"  {name}", None, count) for name, count in ordered[:LISTED]]
    return [*rows, (f"  {len(counts) - LISTED} other classes", None, rest)]


def _figure(count: int | None) -> str:
    return "" if count is None else f"{count:,}".replace(",", " ")
