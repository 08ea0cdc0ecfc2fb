"""Reads tubes as plain JSON, to be written by any program:

    {
      "labels": ["walk", "still"],
      "videos": {
        "clip": {
          "frames": 128, "width": 320, "height": 240,
          "tubes": [{"label": "walk", "track": 1, "start": 5, "boxes": [[left, top, right, bottom], ...]}, ...]
        }, ...
      }
    }

Boxes are in pixels, one for each frame from "start" on, which counts from 1; null stands for a frame without one.
"frames", "width" and "height" may be left out, and so may "track", the number of the individual.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from centernet_tf.datasets.tube_annotations import (
    AnnotatedTube,
    AnnotatedVideo,
    Annotations,
    box_table,
    check_labels,
    whole_number,
)
from centernet_tf.errors import DataError, brief, closest


def read(path: Path) -> Annotations:
    """Reads a file of tubes.

    Raises:
        DataError: It is not what the module's docstring says; what came is told.
    """
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError, OSError) as error:  # also what is not UTF-8
        raise DataError(f"{path}: not readable as JSON ({error}). Copy it again.") from error
    if not isinstance(content, dict) or not isinstance(content.get("videos"), dict):
        raise DataError(f"{path}: expected an object with 'labels' and 'videos', got {brief(content)}.")
    labels = check_labels(content.get("labels"), path)
    videos = [_video(name, one, labels, f"{path}: video {name}") for name, one in content["videos"].items()]
    return Annotations(labels, tuple(videos))


def _video(name: str, content: Any, labels: tuple[str, ...], where: str) -> AnnotatedVideo:
    tubes = content.get("tubes") if isinstance(content, dict) else None
    if not isinstance(tubes, list) or not all(isinstance(tube, dict) for tube in tubes):
        raise DataError(f"{where} is {brief(content)}; expected an object with a list 'tubes' of objects.")
    frames, width, height = (
        whole_number(content[key], f"{where}: {key!r}", 1) if key in content else None
        for key in ("frames", "width", "height")
    )
    if (width is None) != (height is None):
        raise DataError(f"{where}: has one of 'width' and 'height'. Give both or none.")
    found = [_tube(tube, labels, f"{where}: tube {number}") for number, tube in enumerate(tubes, start=1)]
    return AnnotatedVideo(name, tuple(found), frames, None if width is None else (width, height))


def _tube(content: Mapping[str, Any], labels: tuple[str, ...], where: str) -> AnnotatedTube:
    label = content.get("label")
    if label not in labels:
        raise DataError(
            f"{where} has label {label!r:.60}, but 'labels' names {', '.join(labels):.200}."
            f"{closest(str(label), labels)}"
        )
    start = whole_number(content.get("start"), f"{where}: 'start'", 1)
    track = None if content.get("track") is None else whole_number(content["track"], f"{where}: 'track'")
    boxes = content.get("boxes")
    if not isinstance(boxes, list):
        raise DataError(f"{where}: 'boxes' is {brief(boxes)}; expected a list of [left, top, right, bottom].")
    there = [place for place, box in enumerate(boxes) if box is not None]
    table = box_table([boxes[place] for place in there], 4, f"{where}: 'boxes'")
    return AnnotatedTube(labels.index(label), start + np.array(there, np.int64), table, track)
