"""What all `centernet records` commands share: options, the bar while they work, the table when they are done."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from centernet_tf.data.examine import leave_gpu
from centernet_tf.data.records import DATASET_FILE
from centernet_tf.datasets.items import Item
from centernet_tf.datasets.report import Report
from centernet_tf.datasets.writer import write_records
from centernet_tf.errors import UsageError
from centernet_tf.skeleton import Skeleton

LISTED = 20

Out = Annotated[
    Path,
    typer.Option("--out", help="Directory for this split's shards and dataset.yaml, such as tfrecords/cells/train."),
]
Name = Annotated[str | None, typer.Option(help="Name of the data set. Default: the directory above --out.")]
Split = Annotated[str, typer.Option(help="Name of the split, which the shards are called after.")]
Classes = Annotated[str | None, typer.Option(help="Class names, 'cat,dog', or a text file with one name on each line.")]
Shards = Annotated[int | None, typer.Option(help="Number of files. Default: a new one after about 100 MB.")]
Workers = Annotated[int | None, typer.Option(help="Threads; does not change the files. Default: one for each core.")]
SkipBad = Annotated[
    bool,
    typer.Option(
        "--skip-bad", help="Leave out images and boxes that cannot be used, and list them, instead of stopping."
    ),
]


def convert(
    items: Iterable[Item],
    classes: Sequence[str],
    *,
    out: Path,
    name: str | None,
    split: str,
    shards: int | None,
    workers: int | None,
    skip_bad: bool,
    skeleton: Skeleton | None = None,
    solid: bool = False,
) -> Report:
    """Writes records with a bar on the terminal, and prints what became of the images and boxes.

    Raises:
        UsageError: See `write_records`.
        DataError: See `write_records`.
    """
    leave_gpu()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        job = bar.add_task(f"records of {escape(split)}", total=len(items) if hasattr(items, "__len__") else None)
        report = write_records(
            items,
            directory=out,
            name=name or out.resolve().parent.name,
            split=split,
            classes=classes,
            skeleton=skeleton,
            solid=solid,
            shards=shards,
            workers=workers,
            skip_bad=skip_bad,
            progress=lambda done: bar.update(job, completed=done),
        )
    print_report(report, out, Console())
    return report


def class_list(value: str | None) -> tuple[str, ...] | None:
    """Reads the value of --classes: names with commas between, or a file with one name on each line.

    Raises:
        UsageError: The file is missing, or there is no name.
    """
    if value is None:
        return None
    path = Path(value)
    if path.is_file():
        names = path.read_text(encoding="utf-8-sig").splitlines()
    elif path.suffix in (".txt", ".names") or "/" in value:
        raise UsageError(f"--classes {value}: no such file. Give a text file with one name on each line, or 'cat,dog'.")
    else:
        names = value.split(",")
    names = tuple(name.strip() for name in names if name.strip())
    if not names:
        raise UsageError(f"--classes {value!r}: no names. Give a text file with one name on each line, or 'cat,dog'.")
    return names


def print_report(report: Report, out: Path, console: Console) -> None:
    """Prints the counts of a conversion as a table, and the first of what was left out."""
    table = Table("", "images", "boxes", title=str(escape(str(out))), title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    for label, images, boxes in _rows(report):
        table.add_row(escape(label), _figure(images), _figure(boxes))
    console.print(table)
    if report.joints is not None:
        console.print(_joint_line(report.joints), soft_wrap=True, highlight=False)
    troubles = [*report.images_skipped, *report.dropped]
    for name, detail in troubles[:LISTED]:
        console.print(f"left out: {escape(name)}: {escape(detail)}", soft_wrap=True, highlight=False)
    if len(troubles) > LISTED:
        console.print(f"... and {len(troubles) - LISTED} more; {out / DATASET_FILE} lists all.", soft_wrap=True)


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
        *((f"  {name or 'unnamed'} (neutral)", None, count) for name, count in sorted(report.neutral.items())),
        *([("  clipped to the image", None, report.boxes_clipped)] if report.boxes_clipped else []),
        *([("  without objects", report.images_empty, None)] if report.images_empty else []),
        *((f"  {reason}", count, None) for reason, count in sorted(report.images_changed.items())),
    ]


def print_skeleton(skeleton: Skeleton, console: Console) -> None:
    """Prints a skeleton that nobody gave, for a wrong pair is seen in no number, only in a model that learns badly."""
    pairs = ", ".join(" - ".join(pair) for pair in skeleton.as_dict()["flip_pairs"])
    console.print(f"{len(skeleton.joints)} joints: {', '.join(skeleton.joints)}", markup=False, soft_wrap=True)
    alone = "none; give --skeleton FILE if left and right differ"
    console.print(f"Mirrored images exchange: {pairs or alone}", markup=False, soft_wrap=True)


def _joint_line(joints: Mapping[str, int]) -> str:
    labelled = joints["visible"] + joints["hidden"]
    parts = [f"{_figure(joints[name])} {name}" for name in ("visible", "hidden")]
    if joints["outside"]:
        parts.append(f"{_figure(joints['outside'])} outside their image, kept")
    rest = f"; {_figure(joints['unlabelled'])} unlabelled" if joints["unlabelled"] else ""
    return f"{_figure(labelled)} joints on {_figure(joints['objects'])} objects: {', '.join(parts)}{rest}."


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
