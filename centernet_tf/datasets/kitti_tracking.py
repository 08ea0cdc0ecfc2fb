"""Reads KITTI's tracking benchmark: videos in image_02, label_02 and calib, with 3D boxes and identities."""

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from centernet_tf.datasets.items import Item, MadeItems, Split
from centernet_tf.datasets.kitti import CLASSES, objects
from centernet_tf.errors import DataError, UsageError, closest
from centernet_tf.host.reading import read_lines
from centernet_tf.media.images import SUFFIXES
from centernet_tf.properties.boxes3d import Boxes3d
from centernet_tf.properties.boxes3d.cameras import read_camera
from centernet_tf.properties.boxes3d.kitti_files import Lines, parse_lines
from centernet_tf.properties.property import Fault
from centernet_tf.properties.tracks import Tracks

PARTS = ("image_02", "label_02", "calib")
RATE = 10.0  # frames a second
LEVELS = 2  # the highest level of truncation; the object benchmark has a fraction instead

Half = Literal["first", "second"]


def read(
    root: str | Path,
    names: Sequence[str] | None = None,
    *,
    half: Half | None = None,
    classes: Sequence[str] | None = None,
) -> Split:
    """Reads the labels and cameras of videos; images are not opened.

    Classes, ignored objects and what is left out are as in `kitti.read`. The levels of truncation 0, 1 and 2 become
    fractions 0, 0.5 and 1.

    Args:
        root: The folder "training", or the one above it.
        names: Of the videos, such as 0001; all that have labels by default.
        half: "first" or "second" half of each video, as CenterTrack splits them; all frames by default.
        classes: Names in the order of the class numbers; by default Pedestrian, Car, Cyclist.

    Returns:
        The class names, the frames in order, from 0 as KITTI counts them, and the properties boxes3d and tracks.

    Raises:
        UsageError: A folder or a video is missing, or the half is unknown.
        DataError: A label file or a camera cannot be read, or labels are of frames that no image shows.
    """
    if half is not None and half not in get_args(Half):
        raise UsageError(f"half {half!r}: expected {', '.join(get_args(Half))}.{closest(half, get_args(Half))}")
    root, wanted = _folder(Path(root)), CLASSES if classes is None else tuple(classes)
    found = sorted(path.stem for path in (root / "label_02").glob("*.txt"))
    if unknown := [name for name in names or () if name not in found]:
        raise UsageError(f"{root / 'label_02'}: no video {', '.join(unknown)}. There are: {', '.join(found)}.")
    if not found:
        raise UsageError(f"{root / 'label_02'}: holds no labels of videos, such as 0000.txt.")
    chosen = found if names is None else [name for name in found if name in names]
    items = MadeItems(
        lambda: (item for name in chosen for item in _frames(root, name, found.index(name), half, wanted))
    )
    return Split(wanted, items, (Boxes3d(), Tracks()))


def _folder(root: Path) -> Path:
    for folder in (root, root / "training"):
        if all((folder / part).is_dir() for part in PARTS):
            return folder
    missing = [part for part in PARTS if not (root / part).is_dir()]
    raise UsageError(
        f"{root}: no folder {', '.join(missing)}. Expected KITTI's image_02, label_02 and calib of the tracking "
        "benchmark, or the folder 'training' with these."
    )


def _frames(root: Path, name: str, number: int, half: Half | None, classes: tuple[str, ...]) -> Iterator[Item]:
    """The frames of one video that its half has."""
    images = _images(root / "image_02" / name)
    labels = root / "label_02" / f"{name}.txt"
    camera = read_camera(root / "calib" / f"{name}.txt")
    rows_of: dict[int, list[tuple[int, int, int, list[str]]]] = defaultdict(list)
    for row in _rows(labels, len(images)):
        rows_of[row[1]].append(row)
    middle = len(images) // 2
    first, last = {None: (0, len(images)), "first": (0, middle), "second": (middle, len(images))}[half]
    for frame in range(first, last):
        lines = parse_lines([(line, words) for line, _, _, words in rows_of[frame]], labels)
        tracks = np.array([track for _, _, track, _ in rows_of[frame]], np.int64)
        item = Item(
            key=f"{number:06d}-{frame:08d}",
            image_id=number * 1_000_000 + frame,
            source=images[frame],
            filename=f"{name}/{images[frame].name}",
            video=name,
            frame=frame,
            time=frame / RATE,
            **objects(_as_fractions(lines), classes, camera, labels.name, {"track_ids": tracks}),
        )
        yield _without_doubles(item, name)


def _images(folder: Path) -> list[Path]:
    """Of a video in order. Raises DataError where one is missing."""
    found = sorted(one for one in folder.iterdir() if one.suffix.lower() in SUFFIXES) if folder.is_dir() else []
    if not found:
        raise DataError(f"{folder}: no images of this video. Unpack them, or leave the video out with --names.")
    for expected, path in enumerate(found):
        if not path.stem.isascii() or not path.stem.isdigit() or int(path.stem) != expected:
            raise DataError(f"{folder}: frame {expected} is missing; the next file is {path.name}. Unpack it again.")
    return found


def _rows(path: Path, count: int) -> list[tuple[int, int, int, list[str]]]:
    """Of each label the number of its line, its frame, its identity, and the words that the object benchmark has."""
    found = []
    for number, line in enumerate(read_lines(path, DataError), start=1):
        words = line.split()
        if not words:
            continue
        try:
            row = (number, int(words[0]), int(words[1]), words[2:])
        except (ValueError, IndexError):
            began = " ".join(words[:2])
            raise DataError(f"{path}: line {number} begins with {began!r}; expected frame and identity.") from None
        if not 0 <= row[1] < count or not row[3] or not -1 <= row[2] < 2**62:
            raise DataError(
                f"{path}: line {number} has frame {row[1]}, identity {row[2]} and {len(row[3])} further columns; "
                f"expected frames 0 to {count - 1}, identities from 0 or -1, and the 15 columns of an object."
            )
        found.append(row)
    return found


def _as_fractions(lines: Lines) -> Lines:
    """With levels of truncation as fractions; what is no level is left for the reader to tell."""
    levels = np.isin(lines.truncated, range(LEVELS + 1))
    return dataclasses.replace(lines, truncated=np.where(levels, lines.truncated / LEVELS, lines.truncated))


def _without_doubles(item: Item, video: str) -> Item:
    """The item, broken where an identity stands twice in it."""
    ids = [number for number in item.rows["track_ids"].tolist() if number >= 0]
    twice = [number for number, count in Counter(ids).items() if count > 1]
    if not twice:
        return item
    fault = f"{video}: identity {twice[0]} stands twice in frame {item.frame}"
    return dataclasses.replace(item, broken=Fault("identity twice", fault))
