"""`centernet convert`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from centernet_tf.cli.conversion import class_list
from centernet_tf.cli.sizes import parse_size
from centernet_tf.host.plain import plain


def convert(
    checkpoint: Annotated[Path, typer.Argument(help="A .pth file of the official PyTorch code.")],
    out: Annotated[Path, typer.Option(help="The model file to write, ending in .keras.")],
    classes: Annotated[
        str | None,
        typer.Option(help="Class names in channel order, 'cat,dog', or a text file with one name on each line."),
    ] = None,
    task: Annotated[str | None, typer.Option(help="Task to convert for. Default: all that its heads tell.")] = None,
    arch: Annotated[
        str | None, typer.Option(help="Check that it is this network: an official name, dla_34, or ours, dla34_dcn.")
    ] = None,
    origin: Annotated[
        str | None,
        typer.Option(
            help="Data set whose normalisation, input size and thresholds it has: coco, pascal, coco_pose, kitti, "
            "mot17, crowdhuman, coco_tracking, coco_pose_tracking, kitti_tracking, nuscenes_tracking or fairmot. "
            "Default: by tasks and number of classes, else coco."
        ),
    ] = None,
    skeleton: Annotated[
        Path | None, typer.Option(help="YAML with keypoints, flip_pairs, limbs, sigmas. Default: COCO's person.")
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A setting of the task, as in the YAML of a training."),
    ] = None,
    size: Annotated[
        str | None, typer.Option(metavar="HxW", help="Input height and width in pixels. Default: the origin's.")
    ] = None,
) -> None:
    """Turn an official PyTorch checkpoint into a model file, with bit-identical weights.

    Network, heads, their width and the number of classes are read from the tensors. Every tensor is accounted for: it
    is loaded, or left out with a reason, or an error. Needs PyTorch: pip install 'centernet_tf[torch]'.

    Example: centernet convert ctdet_coco_dla_2x.pth --out dla34.keras
    """
    from centernet_tf.checkpoints.convert import convert as run
    from centernet_tf.checkpoints.convert import verify
    from centernet_tf.config import task_settings
    from centernet_tf.model.file import save_model

    converted = run(
        checkpoint,
        task=task,
        classes=class_list(classes),
        arch=arch,
        origin=origin,
        settings={**task_settings(changes or ()), **({"skeleton": skeleton} if skeleton else {})},
        size=parse_size(size) if size else None,
    )
    save_model(out, converted.network, converted.card)
    count = verify(checkpoint, out)
    console = Console(soft_wrap=True, highlight=False)
    for line in (*converted.report, f"{out}: {count} weights read back and equal to the checkpoint's, bit for bit"):
        console.print(plain(line))
    console.print(plain(f"Try it: centernet detect {out} IMAGE --out found"))
