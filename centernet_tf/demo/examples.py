"""Images and short videos to click on: those of a folder, or drawn ones of what a model finds."""

import contextlib
import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from centernet_tf.datasets.drawn import sets
from centernet_tf.demo.pictures import as_jpeg
from centernet_tf.detector.entries import as_image
from centernet_tf.media.sources import find_sources
from centernet_tf.media.video import VideoReader

MOST = 24  # of a folder
DRAWN = 6  # images, or of a video every DRAWN-th of its frames
SPLIT = "demo"  # so that no drawn example was trained or scored on
THUMBNAIL = 160  # pixels of the longer side

Frames = Iterable[np.ndarray]  # [H, W, 3] uint8 RGB each, in order


@dataclasses.dataclass(frozen=True)
class Example:
    """Something to click on.

    Attributes:
        name: What the page calls it.
        content: An image file, pixels [H, W, 3] uint8 RGB, a video file, or frames of such pixels.
        moving: Whether it is a video.
        thumbnail: A small JPEG of it.
        extras: {name: value} of what models take of it beside pixels, where that is known.
    """

    name: str
    content: Path | np.ndarray | Sequence[np.ndarray]
    moving: bool
    thumbnail: bytes
    extras: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)


def of_folder(folder: Path) -> list[Example]:
    """The first images and videos directly in a folder, by name.

    Raises:
        DataError: One of them cannot be read.
        UsageError: There is no such folder, or it holds none.
    """
    sources = find_sources([folder])[:MOST]
    return [_made(Path(source.place).name, source.place, source.moving) for source in sources]


def drawn_for(classes: Iterable[str], properties: Iterable[str], extras: Iterable[str] = ()) -> list[Example]:
    """Drawn images of what a model finds, and a drawn video where that is told by videos; none of other classes.

    Args:
        classes: Names of the model's classes.
        properties: Names of what it finds besides boxes.
        extras: Names of what it takes of an image beside pixels.
    """
    split = sets.showing(classes, properties, DRAWN, SPLIT)
    if split is None:
        return []
    # The items of a video, or all images.
    items = list(next(items for _, items in itertools.groupby(split.items, lambda item: item.video)))
    images, moving = [item.source for item in items], bool(items[0].video)
    step = len(items) // DRAWN
    known = [{name: item.rows[name] for name in extras if name in item.rows} for item in items]
    found = [
        _made(f"drawn image {number}", image, False, own)
        for number, (image, own) in enumerate(zip(images[::step], known[::step]), start=1)
    ]
    return [*found, _made("drawn video", images, True, known[0])] if moving else found


@contextlib.contextmanager
def frames_of(content: Path | Sequence[np.ndarray]) -> Iterator[tuple[Frames, int | None]]:
    """The frames of a video, and how many there are, where that is known.

    Raises:
        DataError: It cannot be read.
    """
    if not isinstance(content, Path):
        yield content, len(content)
        return
    with contextlib.closing(VideoReader(content)) as reader:
        yield (frame.image for frame in reader), reader.frames


def _made(
    name: str,
    content: Path | np.ndarray | list[np.ndarray],
    moving: bool,
    extras: Mapping[str, np.ndarray] | None = None,
) -> Example:
    if isinstance(content, list):
        image = content[len(content) // 2]  # Before it begins, a drawn stage is empty.
    elif moving:
        with frames_of(content) as (frames, _):
            image = next(iter(frames))
    else:
        image = as_image(content)
    return Example(name, content, moving, as_jpeg(image, THUMBNAIL), extras or {})
