"""`centernet train`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from centernet_tf.host.plain import plain


def train(
    config: Annotated[
        Path, typer.Argument(help="Settings of the run: a YAML file, or a recipe's name (centernet init --list).")
    ],
    out: Annotated[Path, typer.Option(help="Folder of the run. A run that is already there is resumed.")],
    arch: Annotated[
        str | None, typer.Option(help="The backbone: an official name, such as dla_34, or ours, dla34_dcn.")
    ] = None,
    change: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Change a setting: --set train.epochs=10.")
    ] = None,
) -> None:
    """Train a network, or resume a run that was stopped or killed.

    Writes best.keras (by AP on the validation records), last.keras, log.csv, settings.yaml and board/, which
    `tensorboard --logdir OUT/board` shows: losses, AP, images with predictions and heatmaps.

    Example: centernet train detect_shapes --out runs/shapes
    """
    from centernet_tf.config import read_settings
    from centernet_tf.recipes import find
    from centernet_tf.training.train import train as run

    console = Console(soft_wrap=True, highlight=False)
    changes = [*(change or []), *([f"backbone={arch}"] if arch else [])]
    model = run(read_settings(find(config), changes), out, lambda line: console.print(plain(line)))
    console.print(plain(f"The model to use: {model}"))
