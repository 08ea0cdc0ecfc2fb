"""`centernet demo`."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from centernet_tf.cli.counts import counted
from centernet_tf.cli.search import Flip, KeepResolution, Size, load_detector
from centernet_tf.errors import UsageError
from centernet_tf.host.plain import plain
from centernet_tf.model.shipped import find, shipped

if TYPE_CHECKING:
    from centernet_tf.demo.models import Shown
    from centernet_tf.detector.detector import Detector


def demo(
    models: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="MODEL",
            help="Files that `centernet train` wrote, or names that `centernet models` shows, a tab for each. Default: "
            "all models that come with the package.",
        ),
    ] = None,
    examples: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FOLDER",
            help="Images and videos to click on, once for all models, or once for each in their order. Default: drawn "
            "ones, for models of what can be drawn.",
        ),
    ] = None,
    host: Annotated[
        str, typer.Option(help="Where to listen. Default: this machine alone; 0.0.0.0 is for all who reach it.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 for any that is free.")] = 7860,
    size: Size = None,
    keep_resolution: KeepResolution = False,
    flip: Flip = False,
) -> None:
    """Show what models find on a web page of this machine.

    Click on examples, upload images and short videos, or use the webcam; a click into an image asks what is there.
    Nothing is stored, and nothing leaves this machine. Ctrl-C ends it.

    Example: centernet demo

    Example: centernet demo runs/shapes/best.keras

    Example: centernet demo boxes.keras pose.keras --examples images/
    """
    from centernet_tf.demo.server import open_server

    models = models or [Path(name) for name in shipped()]
    folders = _folders(examples or [], len(models))
    models = [find(model) for model in models]
    console = Console(soft_wrap=True, highlight=False)
    shown = []
    for title, path, folder in zip(titles(models), models, folders):
        shown.append(_shown(title, load_detector(path, size, keep_resolution, flip), folder))
        console.print(plain(f"{title}: {path}"))
    server = open_server(shown, host, port)
    logging.getLogger("tensorflow").setLevel(
        logging.ERROR
    )  # It warns of images of many sizes, which visitors may have.
    for one in shown:
        one.begin()
    console.print(plain(f"http://{f'[{host}]' if ':' in host else host}:{server.port} - Ctrl-C ends it."))
    server.serve_forever()


def titles(models: Sequence[Path]) -> list[str]:
    """What tabs are called: names of the files, with as many of their folders as tell them apart, and what they are.

    One of a training, whose files always have the same names, is known by its folder.
    """
    parts = [path.absolute().with_suffix("").parts[1:] for path in models]
    count = 2 if {part[-1] for part in parts} & {"best", "last"} else 1
    while len({part[-count:] for part in parts}) < len({*parts}):
        count += 1
    return ["/".join(part[-count:]) for part in parts]


def _folders(given: Sequence[Path], count: int) -> list[Path | None]:
    """The folder of examples of each model."""
    if len(given) not in (0, 1, count):
        raise UsageError(
            f"--examples: {counted(len(given), 'folder')} for {counted(count, 'model')}. Give one, or one for each."
        )
    return list(given) if len(given) == count else [given[0] if given else None] * count


def _shown(title: str, detector: "Detector", folder: Path | None) -> "Shown":
    from centernet_tf.demo import examples
    from centernet_tf.demo.models import Shown

    names = [one.name for one in detector.properties]
    extras = [extra.name for extra in detector.extras]
    if folder is None:
        return Shown(title, detector, examples.drawn_for(detector.names, names, extras))
    return Shown(title, detector, examples.of_folder(folder))
