"""Reads videos of MOTChallenge (MOT15 to MOT20, DanceTrack and what has their shape): img1, gt/gt.txt, seqinfo.ini."""

import configparser
import fnmatch
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from centernet_tf.datasets.items import Item, MadeItems, Split
from centernet_tf.errors import DataError, UsageError, closest
from centernet_tf.media.images import SUFFIXES
from centernet_tf.properties.property import Fault
from centernet_tf.properties.tracks import Tracks
from centernet_tf.properties.tracks.mot_files import read_rows

PEDESTRIAN = 1
# What looks like a pedestrian, so that a tracker is neither praised nor blamed for it (MOT16 to MOT20): persons on
# vehicles, static persons, distractors, reflections.
DISTRACTORS = (2, 7, 8, 12)
VISIBLE = 0.25  # below this part of an object, the original does not train it
CLASS_COLUMN, VISIBILITY_COLUMN, COLUMNS = 7, 8, 9  # MOT15 has 10 columns, the last three are metres

Purpose = Literal["train", "evaluate"]
Half = Literal["first", "second", "first-fairmot", "second-fairmot"]


def read(
    root: str | Path,
    names: Sequence[str] | None = None,
    *,
    purpose: Purpose = "train",
    half: Half | None = None,
    class_name: str = "pedestrian",
) -> Split:
    """Reads the annotated videos of a folder; images are not opened.

    Args:
        root: A video's folder with img1 and gt/gt.txt, or a folder of such.
        names: Of the videos, or patterns of names; None takes all that have a gt.txt. MOT17 has each video three times:
            give those of one detector, "*-FRCNN".
        purpose: "train" takes what CenterTrack trains on: pedestrians that are flagged and at least a quarter visible.
            "evaluate" takes what TrackEval scores: all flagged pedestrians, and distractors as ignored objects.
        half: "first" and "second" as CenterTrack splits videos, the frame in the middle in the first; with "-fairmot"
            as FairMOT does, in the second. None takes all frames.
        class_name: Of the one class.

    Returns:
        The class, the frames in order, and the property tracks. Frames keep their numbers.

    Raises:
        UsageError: There is no such video, purpose or half.
        DataError: While frames are read: a gt.txt or seqinfo.ini cannot be read or contradicts the images, or frames
            are missing.
    """
    for option, given, known in (("for", purpose, get_args(Purpose)), ("half", half or "first", get_args(Half))):
        if given not in known:
            raise UsageError(f"{option} {given!r}: expected {', '.join(known)}.{closest(given, known)}")
    folders = _videos(Path(root), names)
    items = MadeItems(
        lambda: (item for number, folder in enumerate(folders) for item in _frames(folder, number, purpose, half))
    )
    return Split((class_name,), items, (Tracks(),))


def _videos(root: Path, names: Sequence[str] | None) -> list[Path]:
    if (root / "img1").is_dir():
        if names is not None:
            raise UsageError(f"{root}: a video itself, of which {', '.join(names)} cannot be chosen. Leave names out.")
        return [root]
    if not root.is_dir():
        raise UsageError(f"{root}: no such folder. Give a video's folder with img1 and gt/gt.txt, or a folder of such.")
    found = {path.name: path for path in sorted(root.iterdir()) if (path / "gt" / "gt.txt").is_file()}
    if not found:
        raise UsageError(f"{root}: no folder in it has gt/gt.txt. Give the folder 'train' of MOT17, or a video's.")
    if names is None:
        return list(found.values())
    if unknown := [name for name in names if not fnmatch.filter(found, name)]:
        raise UsageError(f"{root}: no annotated video {', '.join(unknown)}. There are: {', '.join(found)}.")
    return [path for name, path in found.items() if any(fnmatch.fnmatch(name, wanted) for wanted in names)]


def _frames(folder: Path, number: int, purpose: Purpose, half: Half | None) -> Iterator[Item]:
    """The frames of one video that its half has."""
    images, rate, size = _images(folder)
    rows = read_rows(folder / "gt" / "gt.txt")
    _check_numbers(folder / "gt" / "gt.txt", rows, len(images))
    first, last = _range(len(images), half)
    for frame in range(first, last):
        own = rows[rows[:, 0] == frame]
        yield _to_item(folder, number, frame, images[frame - 1], own, purpose, (frame - 1) / rate, size)


def _check_numbers(path: Path, rows: np.ndarray, count: int) -> None:
    """Raises DataError for frames that no image is of, and for frames and identities that are no whole numbers."""
    whole = (rows[:, :2] == np.floor(rows[:, :2])) & (np.abs(rows[:, :2]) < 2**31)
    if not whole.all():
        wrong = rows[~whole.all(axis=1)][0]
        raise DataError(f"{path}: frame {wrong[0]:g}, identity {wrong[1]:g}; expected whole numbers.")
    if len(rows) and (rows[:, 0].min() < 1 or rows[:, 0].max() > count):
        raise DataError(
            f"{path}: frames run from {rows[:, 0].min():g} to {rows[:, 0].max():g}, but there are {count} images, "
            "counted from 1."
        )


def _to_item(
    folder: Path,
    number: int,
    frame: int,
    image: Path,
    rows: np.ndarray,
    purpose: Purpose,
    time: float,
    size: tuple[int, int] | None,
) -> Item:
    wanted, ignored, left_out = _chosen(rows, purpose)
    kept = rows[wanted | ignored]
    twice = [key for key, count in Counter(kept[:, 1].tolist()).items() if key >= 0 and count > 1]
    fault = f"{folder.name}: identity {twice[0]:g} stands twice in frame {frame}" if twice else ""
    return Item(
        key=f"{number:06d}-{frame:08d}",
        image_id=number * 1_000_000 + frame,
        source=image,
        filename=f"{folder.name}/{image.name}",
        boxes=np.concatenate([kept[:, 2:4], kept[:, 2:4] + kept[:, 4:6]], axis=1),
        classes=[0] * len(kept),
        ignored=ignored[wanted | ignored],
        rows={"track_ids": kept[:, 1].astype(np.int64)},
        width=size[0] if size else None,
        height=size[1] if size else None,
        left_out=left_out,
        broken=Fault("identity twice", fault) if twice else None,
        video=folder.name,
        frame=frame,
        time=time,
    )


def _chosen(rows: np.ndarray, purpose: Purpose) -> tuple[np.ndarray, np.ndarray, dict[str, int]]:
    """[N] bool: rows that are wanted, and that are ignored; and how many are left out, by reason."""
    flagged = rows[:, 6] != 0
    if rows.shape[1] != COLUMNS:  # MOT15, and files without class and visibility
        return flagged, np.zeros(len(rows), bool), _counts(flag=~flagged)
    kind, visible = rows[:, CLASS_COLUMN], rows[:, VISIBILITY_COLUMN] >= VISIBLE
    person, distracts = kind == PEDESTRIAN, np.isin(kind, DISTRACTORS)
    if purpose == "evaluate":
        return person & flagged, distracts, _counts(flag=person & ~flagged, **{"class": ~person & ~distracts})
    judged = flagged & visible
    return (
        person & judged,
        distracts & judged,
        _counts(flag=~flagged, visibility=flagged & ~visible, **{"class": judged & ~person & ~distracts}),
    )


def _counts(**reasons: np.ndarray) -> dict[str, int]:
    texts = {"flag": "not to be considered (flag 0)", "visibility": "hardly visible", "class": "class not chosen"}
    return {texts[reason]: int(mask.sum()) for reason, mask in reasons.items() if mask.any()}


def _images(folder: Path) -> tuple[list[Path], float, tuple[int, int] | None]:
    """The images of a video in order, its frames a second, and width and height in pixels if they are told."""
    config = configparser.ConfigParser()
    path = folder / "seqinfo.ini"
    try:
        config.read_string(path.read_text(encoding="utf-8") if path.is_file() else "[Sequence]")
        told = config["Sequence"]
        rate, length = told.getfloat("frameRate", 30.0), told.getint("seqLength", -1)
        size = told.getint("imWidth", 0), told.getint("imHeight", 0)
        images = folder / told.get("imDir", "img1")
    except (configparser.Error, KeyError, ValueError, OSError) as error:
        raise DataError(f"{path}: not a description of a video ({' '.join(str(error).split())}).") from None
    found = sorted(one for one in images.iterdir() if one.suffix.lower() in SUFFIXES) if images.is_dir() else []
    if not found or length not in (-1, len(found)):
        expected = "some" if length < 0 else f"{length}, as {path.name} says"
        raise DataError(f"{images}: {len(found)} images, expected {expected}. Frames are missing; unpack it again.")
    _check_names(images, found)
    if not rate > 0:
        raise DataError(f"{path}: frameRate is {rate:g}; expected a number above 0.")
    return found, rate, size if min(size) > 0 else None


def _check_names(folder: Path, images: Sequence[Path]) -> None:
    """Raises DataError where images are called by numbers, as MOTChallenge does, but not 1, 2, 3 and so on."""
    numbers = [int(image.stem) for image in images if image.stem.isascii() and image.stem.isdigit()]
    if len(numbers) == len(images):
        for expected, number in enumerate(sorted(numbers), start=1):
            if number != expected:
                raise DataError(f"{folder}: frame {expected} is missing; the next is {number}. Unpack it again.")


def _range(count: int, half: Half | None) -> tuple[int, int]:
    """First frame of a half, from 1, and the one behind its last."""
    if half is None:
        return 1, count + 1
    middle = count // 2 + (0 if half.endswith("-fairmot") else 1)
    return (1, middle + 1) if half.startswith("first") else (middle + 1, count + 1)
