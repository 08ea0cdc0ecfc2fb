"""`centernet inspect`: looks at records before anything is trained on them."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from centernet_tf.cli.progress import progress
from centernet_tf.cli.sizes import parse_size
from centernet_tf.host.bucket import Bucket
from centernet_tf.host.files import write_json
from centernet_tf.host.plain import plain
from centernet_tf.media.draw import contact_sheet, save_image
from centernet_tf.properties.notebook import SEVERITIES

if TYPE_CHECKING:
    from centernet_tf.inspect import InspectionReport

COLORS = {"error": "bold red", "warning": "yellow", "note": "cyan"}
MOST_SIZES = 5  # image sizes listed by name


def inspect(
    records: Annotated[
        list[str], typer.Argument(metavar="PATH...", help="Directories of records; several are compared.")
    ],
    max_objects: Annotated[int, typer.Option(help="Objects per image that training keeps, its max_objects.")] = 100,
    size: Annotated[str, typer.Option(help="Height x width of the network's input.")] = "512x512",
    sheet: Annotated[
        Path | None,
        typer.Option(help="Write samples with their objects, of videos with their trails, into this image file."),
    ] = None,
    samples: Annotated[int, typer.Option(min=1, help="Samples of each directory on the sheet.")] = 16,
    json_file: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="Write the report as JSON; - for standard output.")
    ] = None,
    decode: Annotated[bool, typer.Option(help="Decode every image in full, or read headers only.")] = True,
) -> None:
    """Look for faults in records: broken images and boxes, wrong labels, objects that training would lose.

    Of videos also missing frames, and identities that jump, change their class or stand twice in a frame.

    Exit code 1 when there are errors.
    """
    from centernet_tf.data.examine import leave_gpu
    from centernet_tf.inspect import inspect_splits

    leave_gpu()
    quiet = json_file == "-"
    console = Console(quiet=quiet)
    with progress(quiet=quiet) as bar:
        jobs: dict[Path | Bucket, int] = {}

        def advance(path: Path | Bucket, done: int, expected: int) -> None:
            if path not in jobs:
                jobs[path] = bar.add_task(str(path), total=expected)
            bar.update(jobs[path], completed=done, total=max(expected, done))

        reports = inspect_splits(
            records,
            max_objects=max_objects,
            size=parse_size(size),
            samples=samples if sheet else 0,
            decode=decode,
            progress=advance,
        )
    for report in reports:
        _print_report(console, report)
    if json_file:
        _write_json(json_file, reports)
    if sheet:
        _write_sheet(console, sheet, reports)
    if not all(report.sound for report in reports):
        raise typer.Exit(1)


def _print_report(console: Console, report: "InspectionReport") -> None:
    console.print(Text("\n") + plain(f"{report.name}/{report.split}", "bold") + plain(f"  {report.path}"))
    console.print(_summary(report))
    console.print(_classes(report))
    for table in report.tables:
        console.print(table)
    if not report.findings:
        console.print("[green]No problems found.[/green]")
        return
    console.print(_findings(report))
    counts = {name: sum(finding.severity == name for finding in report.findings) for name in SEVERITIES}
    told = ", ".join(f"{count} {name}{'s' * (count != 1)}" for name, count in counts.items() if count)
    console.print(f"{told}." if report.sound else f"[bold red]{told}.[/bold red] Fix the errors before training.")


def _summary(report: "InspectionReport") -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    height, width = report.size
    per_image, cells = report.objects_per_image, report.box_cells
    sizes = [f"{name} ({count})" for name, count in list(report.image_sizes.items())[:MOST_SIZES]]
    more = len(report.image_sizes) - MOST_SIZES
    table.add_row("images", str(report.images))
    table.add_row("width x height", ", ".join(sizes) + (f" and {more} more" if more > 0 else ""))
    table.add_row("objects", f"{report.objects} ({report.crowd} crowd, {report.difficult} difficult)")
    if report.ignored:
        told = ", ".join(f"{count} {name}" for name, count in report.ignored.items())
        table.add_row("ignored of these", plain(told))
    if report.advice:
        table.add_row("size to train at", plain(report.advice))
    for what, text in report.facts.items():
        table.add_row(plain(what), plain(text))
    table.add_row("objects per image", f"{per_image.low:g} to {per_image.high:g}, mean {per_image.mean:g}")
    table.add_row("object areas (COCO)", ", ".join(f"{count} {name}" for name, count in report.areas.items()))
    table.add_row(
        f"shorter side, input {height}x{width}",
        f"{cells.low:g} to {cells.high:g} output cells, median {cells.median:g}",
    )
    table.add_row(
        "share an output cell",
        f"{report.lost_peak_fraction:.2%} same class, {report.shared_cell_fraction:.2%} any class",
    )
    return table


def _classes(report: "InspectionReport") -> Table:
    """Counts by class, in three blocks side by side where there are many."""
    blocks = 1 if len(report.per_class) <= 12 else 3
    table = Table(box=None, pad_edge=False)
    for header, justify in (("class", "left"), ("objects", "right"), ("fraction", "right")) * blocks:
        table.add_column(header, justify=justify)
    cells = [
        (plain(name), str(count), f"{count / max(report.objects, 1):.1%}") for name, count in report.per_class.items()
    ]
    height = -(-len(cells) // blocks)
    for row in range(height):
        table.add_row(*(text for cell in cells[row::height] for text in cell))
    return table


def _findings(report: "InspectionReport") -> Table:
    table = Table("", Column("count", justify="right"), "finding, first examples, what to do", box=None, pad_edge=False)
    for finding in report.findings:
        color = COLORS[finding.severity]
        examples = (plain(where, "dim") for where in finding.examples[:3])
        lines = Text("\n").join([plain(finding.what), *examples, plain(f"-> {finding.fix}")])
        table.add_row(Text(finding.severity, color), str(finding.count), lines)
    return table


def _write_json(target: str, reports: "list[InspectionReport]") -> None:
    """A single report as an object, several as a list."""
    plain = [report.to_dict() for report in reports]
    content = plain[0] if len(plain) == 1 else plain
    if target == "-":
        typer.echo(json.dumps(content, indent=2, ensure_ascii=False))
        return
    write_json(target, content)


def _write_sheet(console: Console, target: Path, reports: "list[InspectionReport]") -> None:
    sheets = [(report, sheet) for report in reports if (sheet := report.sheet()) is not None]
    if not sheets:
        console.print("No image could be read, so there is no sheet.")
        return
    if len(sheets) == 1:
        save_image(target, sheets[0][1])
    else:
        titles = [f"{report.name}/{report.split}" for report, _ in sheets]
        largest = max(max(sheet.shape[:2]) for _, sheet in sheets)
        save_image(target, contact_sheet([sheet for _, sheet in sheets], titles, columns=1, tile=largest))
    console.print(plain(f"Samples: {target}"))
