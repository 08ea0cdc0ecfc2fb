"""Prints the tables: `python -m centernet_tf.benchmark [input render step decode]`."""

import importlib
import sys

from rich.console import Console
from rich.table import Table

from centernet_tf.errors import UsageError, closest

TABLES = {
    "input": (
        "Input pipeline, 640x480 JPEG to 512x512, all augmentation; processor time",
        ("", "ms of one core / image", "images / s / core", "times the usual"),
    ),
    "render": (
        "Rendering heatmaps, 16 images, 80 classes, 128x128 cells",
        (
            "objects / image",
            "NumPy, ms / image",
            "graph, ms / image",
            "XLA, ms / image",
            "peak MB a batch, graph / XLA",
        ),
    ),
    "step": ("Training step on this machine's processor", ("", "precision", "ms / step", "images / s")),
    "decode": (
        "Decode next to forward, 512x512, batch 1, 80 classes, processor",
        ("backbone", "forward, ms", "decode, ms", "decode / forward"),
    ),
}


def main(names: list[str]) -> None:
    """Measures and prints; without names, everything."""
    for name in names:
        if name not in TABLES:
            raise UsageError(f"Unknown benchmark {name!r}.{closest(name, TABLES)} Known: {', '.join(TABLES)}.")
    console = Console()
    for name in names or TABLES:
        title, columns = TABLES[name]
        table = Table(*columns, title=title)
        for row in importlib.import_module(f"centernet_tf.benchmark.{name}").measure():
            table.add_row(*row)
        console.print(table)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except UsageError as error:
        raise SystemExit(f"benchmark: {error}") from None
