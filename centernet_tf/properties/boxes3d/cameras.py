"""Cameras of people's own images: the matrix that a file holds, and which file belongs to which image.

A file is a calibration of KITTI (.txt, its line "P2:"), or YAML or JSON with "camera" or nothing but the matrix: 3 rows
of 4 numbers, or of 3, which is the matrix of the lens alone. Numbers are of the image as it is given, in pixels.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from centernet_tf.errors import DataError, UsageError
from centernet_tf.geometry.camera import as_camera
from centernet_tf.host.reading import decode, is_file
from centernet_tf.host.strict_yaml import parse_file
from centernet_tf.properties.boxes3d.kitti_files import read_camera as read_kitti_camera

SUFFIXES = (".txt", ".yaml", ".yml", ".json")
_FORM = "Expected 3 rows of 4 numbers (or of 3): [[fx, 0, cx, 0], [0, fy, cy, 0], [0, 0, 1, 0]]"


def read_camera(path: Path) -> np.ndarray:
    """Reads a camera [3, 4] float32 from a file.

    Raises:
        UsageError: There is no such file, or its suffix is none of `SUFFIXES`.
        DataError: It holds no camera.
    """
    if not is_file(path):
        raise UsageError(f"{path}: no such file. Give a calibration file, or YAML or JSON with the camera's matrix.")
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{path}: expected one of {', '.join(SUFFIXES)}.")
    if path.suffix.lower() == ".txt":
        return _checked(read_kitti_camera(path), path)
    try:
        content = _read_json(path) if path.suffix.lower() == ".json" else parse_file(path)
    except (yaml.YAMLError, ValueError, OSError, RecursionError) as error:
        raise DataError(f"{path}: cannot be read ({' '.join(str(error).split()):.300}). {_FORM}.") from error
    if isinstance(content, dict):
        if "camera" not in content:
            keys = ", ".join(map(str, content)) or "nothing"
            raise DataError(f"{path}: has no 'camera', only {keys:.80}. {_FORM}.")
        content = content["camera"]
    return _checked(content, path)


def _read_json(path: Path) -> Any:
    """JSON whose objects name each key once; the standard's reader keeps the last in silence."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if twice := [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]:
            raise ValueError(f"{twice[0]!r:.60} is given twice")
        return dict(pairs)

    return json.loads(decode(path.read_bytes()), object_pairs_hook=once)


def _checked(values: Any, path: Path) -> np.ndarray:
    try:
        return as_camera(values)
    except ValueError as error:
        raise DataError(f"{path}: {error}") from None


class Cameras:
    """The camera of each image: one for all, or of a folder the file with the image's name.

    Args:
        path: A file for all images, or a folder with a file for each.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._one = None if path.is_dir() else read_camera(path)

    def of(self, name: str) -> np.ndarray:
        """The camera [3, 4] of an image or video.

        Args:
            name: Path of the image, of which its name without suffix counts.

        Raises:
            DataError: The folder has no file for it, or one that holds no camera.
        """
        if self._one is not None:
            return self._one
        stem = Path(name).stem
        for suffix in SUFFIXES:
            if is_file(self._path / f"{stem}{suffix}"):
                return read_camera(self._path / f"{stem}{suffix}")
        raise DataError(f"{name}: no camera {stem}.txt, .yaml, .yml or .json in {self._path}.")
