"""`centernet export`."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from centernet_tf.errors import UsageError, closest
from centernet_tf.export.savedmodel import export_savedmodel


@dataclasses.dataclass(frozen=True)
class Format:
    """One line of the table of formats.

    Attributes:
        run: (model, out, **options) -> what was written.
        options: Names of the command's options that it takes; the others are refused.
        hint: What to do with the result, with {out} in it.
    """

    run: Callable[..., Path]
    options: tuple[str, ...]
    hint: str


FORMATS = {
    "savedmodel": Format(export_savedmodel, ("precision", "xla"), "How to serve it: {out}/serving.txt"),
}


def export(
    model: Annotated[Path, typer.Argument(help="The .keras file of a training run, or of `centernet convert`.")],
    out: Annotated[Path, typer.Option(help="What to write; a folder for a SavedModel.")],
    format: Annotated[str, typer.Option(help=f"One of: {', '.join(FORMATS)}.")] = "savedmodel",
    precision: Annotated[
        str | None,
        typer.Option(help="savedmodel: float32, or bfloat16 for processors that compute in it. Default: float32."),
    ] = None,
    xla: Annotated[
        bool | None, typer.Option("--xla", help="savedmodel: compile the network with XLA, which the server must have.")
    ] = None,
) -> None:
    """Write a model for other programs: servers, phones, browsers.

    What is written is read back and compared with the model.

    Example: centernet export runs/shapes/best.keras --format savedmodel --out served/shapes
    """
    if format not in FORMATS:
        raise UsageError(f"Unknown format {format!r}.{closest(format, FORMATS)} Known: {', '.join(FORMATS)}.")
    given = {name: value for name, value in {"precision": precision, "xla": xla}.items() if value is not None}
    entry = FORMATS[format]
    check_options(format, given)
    written = entry.run(model, out, **given)
    console = Console(soft_wrap=True, highlight=False)
    files = [path for path in written.rglob("*") if path.is_file()] if written.is_dir() else [written]
    size = sum(path.stat().st_size for path in files)
    console.print(f"{written}: {size / 1e6:.1f} MB, equal to {model} as far as its precision allows", markup=False)
    console.print(entry.hint.format(out=out), markup=False)


def check_options(format: str, given: dict[str, Any]) -> None:
    """Raises UsageError where an option belongs to another format."""
    for name in given:
        if name not in FORMATS[format].options:
            takers = ", ".join(taker for taker, entry in FORMATS.items() if name in entry.options)
            raise UsageError(f"--{name} is for --format {takers}; {format} does not take it. Leave it out.")
