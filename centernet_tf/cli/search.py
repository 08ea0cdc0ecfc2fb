"""Options that `centernet detect` and `centernet evaluate` share: the input, and more work for each image."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from centernet_tf.cli.sizes import parse_size
from centernet_tf.errors import UsageError

if TYPE_CHECKING:
    from centernet_tf.detector.detector import Detector

MANY = 500  # Images from which on a compilation of 20 seconds is paid back by a network that it makes a third faster.
MODEL = "A .keras file that `centernet train` wrote, or a name that `centernet models` shows."

Size = Annotated[
    str | None, typer.Option("--size", metavar="HEIGHTxWIDTH", help="Another input size than the model's own.")
]
KeepResolution = Annotated[
    bool, typer.Option("--keep-resolution", help="Do not scale images: for many small objects in large images.")
]
Flip = Annotated[
    bool,
    typer.Option("--flip", help="Average with the flipped image: slightly higher AP, twice the time."),
]
Scales = Annotated[
    str | None,
    typer.Option(
        metavar="0.5,1,1.5",
        help="Multi-scale test, merged by soft-NMS: for objects of very different sizes. Above 1 a "
        "fixed input loses the image's borders, so add --keep-resolution.",
    ),
]
Nms = Annotated[bool, typer.Option("--nms", help="Soft-NMS for a single scale, too: for objects found twice.")]
Tile = Annotated[
    str | None,
    typer.Option(
        metavar="HEIGHTxWIDTH",
        help="Process images of any size at full resolution in tiles of this size, such as 1024, which bounds "
        "memory; finds exactly what one pass would. Larger is faster.",
    ),
]
Halo = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="Overlap of the tiles of --tile in pixels. Default: the receptive field. Less is faster, and "
        "only nearly the same.",
    ),
]
Xla = Annotated[
    bool | None,
    typer.Option(
        "--xla/--no-xla",
        help="Compile the network: 10 to 20 seconds at the start and for each new input size, then faster, most of all "
        f"with deformable convolutions. Default: where that pays, for {MANY} images of one size and more.",
    ),
]


def load_detector(
    model: Path,
    size: str | None = None,
    keep_resolution: bool = False,
    flip: bool = False,
    scales: str | None = None,
    nms: bool = False,
    tile: str | None = None,
    halo: int | None = None,
    xla: bool | None = None,
) -> "Detector":
    """Loads a model behind the wanted input, with the wanted options; arguments are as typed.

    Raises:
        UsageError: They exclude each other or are invalid, or the model is none.
    """
    from centernet_tf.detector.detector import load

    if size and keep_resolution:
        raise UsageError("--size and --keep-resolution exclude each other. Give one of them.")
    if size and tile:
        raise UsageError("--tile keeps the resolution of images, so --size has no meaning with it. Give one of them.")
    if halo is not None and not tile:
        raise UsageError("--halo is the overlap of the tiles of --tile. Give --tile too, or leave it out.")
    options = {
        "flip": flip,
        "scales": _parse_scales(scales) if scales else (1.0,),
        "nms": nms,
        "tile": parse_size(tile, "--tile") if tile else None,
        "halo": halo,
        "xla": bool(xla),
    }
    wanted = parse_size(size) if size else None
    detector = load(model)
    if size or keep_resolution:
        detector = detector.with_input(wanted)
    return detector.with_options(**options)


def for_many(detector: "Detector", images: int, xla: bool | None) -> "Detector":
    """The detector, compiled if nothing was typed about that and it pays for so many images."""
    from centernet_tf.backbones import find_backbone

    if xla is not None or images < MANY:
        return detector
    one_size = detector.card.input.mode == "fixed" and not detector.options.tile
    if not one_size or not find_backbone(detector.card.backbone).compiled:
        return detector
    return detector.with_options(**{**dataclasses.asdict(detector.options), "xla": True})


def load_for_millions(model: Path, *options: Any) -> "Detector":
    """`load_detector`, of which the last option is `xla`, for more images than anybody counted."""
    return for_many(load_detector(model, *options), MANY, options[-1])


def _parse_scales(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"--scales {text!r}: expected factors such as 0.5,1,1.5.") from None
