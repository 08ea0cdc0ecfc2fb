"""Options that `centernet track` and `centernet evaluate` share: a second network, which sees optical flow."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from centernet_tf.cli.search import load_detector
from centernet_tf.errors import UsageError
from centernet_tf.media.folder import FolderReader, frames_of
from centernet_tf.media.video import VideoReader

if TYPE_CHECKING:
    from centernet_tf.detector.detector import Detector

Flow = Annotated[
    Path | None,
    typer.Option(
        "--flow",
        metavar="FLOW.KERAS",
        help="A second model, of optical flow, that sees the videos beside the first one; what both answer is joined.",
    ),
]
FlowWeights = Annotated[
    str | None,
    typer.Option(
        "--flow-weights",
        metavar="NAME=WEIGHT,...",
        help="With --flow: how much the model of images counts in each map, from 0 to 1, such as heatmap=0.4. Default: "
        "heatmap=0.5,movement=0.8,size=0.8.",
    ),
]
FlowPictures = Annotated[
    Path | None,
    typer.Option(
        "--flow-pictures",
        metavar="DIR|VIDEO",
        help="Pictures of optical flow for one video, as those that the model was trained on. Default: computed from "
        "the frames by OpenCV.",
    ),
]


def load_pair(
    detector: "Detector",
    flow: Path | None,
    weights: str | None = None,
    pictures: Path | None = None,
    size: str | None = None,
    keep_resolution: bool = False,
) -> "Detector":
    """The detector with a second stream, if one is given; arguments are as typed.

    Raises:
        UsageError: They do not go together, or something is missing.
    """
    if flow is None:
        if weights is not None:
            raise UsageError("--flow-weights are for two models. Give the one of optical flow as --flow.")
        return detector
    from centernet_tf.detector.two_streams import TwoStreams

    second = load_detector(flow, size, keep_resolution)
    shown = None if pictures is None else read_pictures(pictures)
    return TwoStreams(detector, second, _parsed(weights) if weights else None, shown)


def check_pictures(path: Path | None, detector: "Detector", flow: Path | None, videos: int) -> None:
    """Raises UsageError where --flow-pictures are of no use, are not there, or would stand for several videos."""
    from centernet_tf.detector.two_streams import sees_flow

    if path is None:
        return
    if flow is None and not sees_flow(detector):
        raise UsageError("--flow-pictures are for models of optical flow. Give one as --flow, or leave them out.")
    if videos != 1:
        raise UsageError(f"--flow-pictures {path}: shows one video, not {videos}. Give one at a time.")
    if not path.exists():
        raise UsageError(f"--flow-pictures {path}: no such folder or video.")
    if path.is_dir() and not frames_of(path):
        raise UsageError(f"--flow-pictures {path}: no images directly in this folder.")


def read_pictures(path: Path) -> Iterator[np.ndarray]:
    """The pictures of a folder or a video, in order."""
    reader = FolderReader(path) if path.is_dir() else VideoReader(path)
    try:
        for frame in reader:
            yield frame.image
    finally:
        reader.close()


def _parsed(text: str) -> dict[str, float]:
    try:
        return {name.strip(): float(value) for name, value in (part.split("=") for part in text.split(","))}
    except ValueError:
        raise UsageError(f"--flow-weights {text!r}: expected weights such as heatmap=0.4,size=0.8.") from None
