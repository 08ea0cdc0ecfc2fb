"""`centernet pretrain`: weights that have seen something, where none can be downloaded."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from centernet_tf.cli.sizes import parse_size
from centernet_tf.host.plain import plain

DIFFICULTY = 0.5


def pretrain(
    out: Annotated[Path, typer.Option(help="Folder of the drawn records and of the run, which is resumed.")],
    backbone: Annotated[str, typer.Option(help="The network that your own training will have.")] = "resnet18_fpn",
    count: Annotated[int, typer.Option(min=8, help="Drawn images.")] = 3200,
    epochs: Annotated[int, typer.Option(min=1, help="Times that each is seen.")] = 6,
    size: Annotated[str, typer.Option(help="Height x width of the images.")] = "128x128",
    change: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Change a setting of the training.")
    ] = None,
) -> None:
    """Train a network on drawn shapes, as a start for your own data.

    Shapes of random colours and textures are drawn, and the network learns to find and to name them: its trunk then
    knows edges, textures and outlines. Where weights can be downloaded, weights: imagenet is the usual start.

    Example: centernet pretrain --out runs/start
    and then: centernet train configs/detect_own.yaml --out runs/mine --set weights=runs/start/run/best.keras
    """
    from centernet_tf.config import parse_settings
    from centernet_tf.training.train import train

    pixels = parse_size(size)
    settings = parse_settings(_settings(out, backbone, epochs, pixels), "pretrain", change or ())
    console = Console(soft_wrap=True, highlight=False)
    for split, images in (("train", count), ("val", max(count // 16, 8))):
        console.print(plain(_drawn(out / "records" / split, split, images, pixels)))
    model = train(settings, out / "run", lambda line: console.print(plain(line)))
    console.print(plain(f"Start from it: centernet train ... --set weights={model}"))


def _settings(out: Path, backbone: str, epochs: int, size: tuple[int, int]) -> dict[str, Any]:
    """Of the training, as a YAML file would have them."""
    return {
        "task": "detect",
        "backbone": backbone,
        "ltrb": True,
        "loss": {"box": "giou", "area": 0.54, "ellipse": 0.54},
        "data": {
            "train": str(out / "records/train"),
            "validation": str(out / "records/val"),
            "size": list(size),
        },
        "train": {
            "epochs": epochs,
            "batch_size": 8,
            "learning_rate": "scratch",
            "schedule": "cosine",
            "warmup_steps": 100,
            "clip_norm": 10.0,
            "ema": 0.99,
        },
        "evaluate": {"every": epochs, "images": 0},
    }


def _drawn(directory: Path, split: str, count: int, size: tuple[int, int]) -> str:
    """Draws records where there are none yet; says what there is, for people.

    Raises:
        UsageError: There are records of another number of images.
    """
    from centernet_tf.data.dataset import open_dataset
    from centernet_tf.datasets.drawn import shapes
    from centernet_tf.datasets.writer import write_records
    from centernet_tf.errors import UsageError

    if (directory / "dataset.yaml").exists():
        if (found := open_dataset(directory).images) != count:
            raise UsageError(f"{directory} holds {found} images, expected {count}. Choose another --out, or remove it.")
        return f"{directory}: {count} images, drawn before."
    classes, items, properties = shapes.read(count, size, split=split, scene=shapes.Scene.at(DIFFICULTY))
    write_records(items, directory=directory, name="drawn", split=split, classes=classes, properties=properties)
    return f"{directory}: {count} images."
