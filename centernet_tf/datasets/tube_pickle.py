"""Reads tubes of UCF101-24, JHMDB and MultiSports as their pickles hold them, without running what is in those.

A dict: "labels" [names]; "train_videos" and "test_videos", a list of names for each fold; "nframes" {video: frames};
"resolution" {video: (height, width)}; "gttubes" {video: {number of the label: [tube]}}, each tube an array [T, 5] of
frame from 1, left, top, right, bottom.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from centernet_tf.datasets import plain_pickle
from centernet_tf.datasets.tube_annotations import (
    AnnotatedTube,
    AnnotatedVideo,
    Annotations,
    box_table,
    check_labels,
    whole_number,
)
from centernet_tf.errors import DataError, UsageError, closest

KEYS = ("labels", "train_videos", "test_videos", "nframes", "resolution", "gttubes")
PARTS = ("train", "test")


def read(path: Path, part: str | None = None, fold: int = 1) -> Annotations:
    """Reads a file of tubes.

    Args:
        path: Such as UCF101v2-GT.pkl.
        part: "train" or "test" videos; None for all.
        fold: Which of the official divisions into these, from 1.

    Raises:
        UsageError: There is no such file, part or fold.
        DataError: It is not what the module's docstring says, or would have to run code; what came is told.
    """
    if part not in (None, *PARTS):
        raise UsageError(f"part {part!r}: expected train or test.{closest(str(part), PARTS)}")
    content = plain_pickle.read(path)
    missing = [key for key in KEYS if not isinstance(content, dict) or key not in content]
    if missing:
        raise DataError(f"{path}: lacks {', '.join(missing)}. Expected a dict of {', '.join(KEYS)}.")
    for key in ("nframes", "resolution", "gttubes"):
        if not isinstance(content[key], dict):
            raise DataError(f"{path}: {key!r} is a {type(content[key]).__name__}, expected a dict by video.")
    labels = check_labels(content["labels"], path)
    names = _names(content, part, fold, path)
    return Annotations(labels, tuple(_video(name, content, labels, f"{path}: video {name}") for name in names))


def _names(content: Mapping[str, Any], part: str | None, fold: int, path: Path) -> list[str]:
    if part is None:
        return sorted(map(str, content["gttubes"]))
    folds = content[f"{part}_videos"]
    if not isinstance(folds, list) or not all(isinstance(one, list) for one in folds):
        raise DataError(f"{path}: '{part}_videos' is no list of lists of names.")
    if not 1 <= fold <= len(folds):
        raise UsageError(f"{path}: fold {fold}; it has folds 1 to {len(folds)}.")
    names = folds[fold - 1]
    if unknown := [name for name in names if name not in content["gttubes"]]:
        raise DataError(f"{path}: '{part}_videos' names {unknown[0]!r:.80}, of which there are no tubes.")
    return names


def _video(name: str, content: Mapping[str, Any], labels: tuple[str, ...], where: str) -> AnnotatedVideo:
    frames = whole_number(content["nframes"].get(name), f"{where}: its number in 'nframes'", 1)
    size = content["resolution"].get(name)
    try:
        height, width = (whole_number(side, where, 1) for side in size)
    except (TypeError, ValueError):
        raise DataError(f"{where}: its 'resolution' is {size!r:.60}; expected height and width.") from None
    by_label = content["gttubes"][name]
    if not isinstance(by_label, dict):
        raise DataError(f"{where}: its 'gttubes' are a {type(by_label).__name__}, expected a dict by label.")
    tubes = []
    for label, several in by_label.items():
        number = whole_number(label, f"{where}: a label")
        if number >= len(labels):
            raise DataError(
                f"{where}: has label {number}, but 'labels' names {len(labels)}, from 0 to {len(labels) - 1}. The list "
                "is that of another data set, or a part of it."
            )
        if not isinstance(several, list | tuple | np.ndarray):
            raise DataError(f"{where}: the tubes of label {number} are a {type(several).__name__}, expected a list.")
        tubes += [_tube(one, number, f"{where}: tube {len(tubes) + place}") for place, one in enumerate(several, 1)]
    return AnnotatedVideo(name, tuple(tubes), frames, (width, height))


def _tube(rows: Any, label: int, where: str) -> AnnotatedTube:
    table = box_table(rows, 5, where)
    frames = table[:, 0]
    if not (np.isfinite(frames).all() and (frames == np.floor(frames)).all()):
        raise DataError(f"{where}: frame {frames[frames != np.floor(frames)][:1]}; expected whole numbers.")
    return AnnotatedTube(label, frames.astype(np.int64), table[:, 1:])
