"""`centernet models`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from centernet_tf.host.files import write_json
from centernet_tf.host.plain import plain
from centernet_tf.model.shipped import shipped

DIGITS = 8  # of a checksum that tell it from others at sight


def models(
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write all that is known of them as JSON.")
    ] = None,
) -> None:
    """Show the trained models that come with the package.

    Their names stand for them wherever a model is asked for, and in centernet_tf.load(NAME). A file or folder of that
    name goes first.

    Example: centernet models --json models.json

    Example: centernet detect drawn-shapes images/ --out found
    """
    found = shipped()
    table = Table(title="Models that come with the package", title_justify="left")
    rows = [{**one.told, "sha256": one.sha256[:DIGITS]} for one in found.values()]
    shown = [heading for heading in rows[0] if heading != "finds"] if rows else []
    for heading in shown:
        table.add_column(heading, no_wrap=heading in ("name", "sha256"))
    for row in rows:
        table.add_row(*(plain(row[heading]) for heading in shown))
    console = Console(highlight=False)
    if not console.is_terminal:  # A file has no width: names are not cut there.
        console.width = 160
    console.print(table)
    if json_file:
        write_json(json_file, [one.as_dict() for one in found.values()])
        console.print(plain(f"Models: {json_file}"), soft_wrap=True)
