"""Cameras of people's own images: the matrix that a file holds, and which file belongs to which image.

A file is a calibration of KITTI (.txt, its line "P2:"), or YAML or JSON with "camera" or nothing but the matrix: 3 rows
of 4 numbers, or of 3, which is the matrix of the lens alone. Numbers are of the image as it is given, in pixels.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from centernet_tf.errors import DataError, UsageError
from centernet_tf.kitti_files import read_camera as read_kitti_camera

SUFFIXES = (".txt", ".yaml", ".yml", ".json")
_FORM = "Expected 3 rows of 4 numbers (or of 3): [[fx, 0, cx, 0], [0, fy, cy, 0], [0, 0, 1, 0]]"


def read_camera(path: Path) -> np.ndarray:
    """Reads a camera [3, 4] float32 from a file.

    Raises:
        UsageError: There is no such file, or its suffix is none of `SUFFIXES`.
        DataError: It holds no camera.
    """
    if not path.is_file():
        raise UsageError(f"{path}: no such file. Give a calibration file, or YAML or JSON with the camera's matrix.")
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{path}: expected one of {', '.join(SUFFIXES)}.")
    if path.suffix.lower() == ".txt":
        return checked_camera(read_kitti_camera(path), str(path))
    try:
        text = path.read_text(encoding="utf-8")
        content = json.loads(text) if path.suffix.lower() == ".json" else yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({' '.join(str(error).split())}). {_FORM}.") from error
    if isinstance(content, dict):
        if "camera" not in content:
            raise DataError(f"{path}: has no 'camera', only {', '.join(map(str, content)) or 'nothing'}. {_FORM}.")
        content = content["camera"]
    return checked_camera(content, str(path))


def checked_camera(values: Any, where: str) -> np.ndarray:
    """A camera [3, 4] float32 of numbers [3, 4] or [3, 3].

    Raises:
        DataError: They are something else, or no camera that looks ahead.
    """
    try:
        matrix = np.array(values, np.float32)
    except (TypeError, ValueError):
        raise DataError(f"{where}: the camera is {values!r:.80}. {_FORM}.") from None
    if matrix.shape == (3, 3):
        matrix = np.concatenate([matrix, np.zeros((3, 1), np.float32)], axis=1)
    if matrix.shape != (3, 4) or not np.isfinite(matrix).all():
        raise DataError(f"{where}: the camera is {matrix.shape}, or not all of it is a number. {_FORM}.")
    if min(matrix[0, 0], matrix[1, 1]) <= 0 or abs(matrix[2, 2] - 1) > 0.01 or np.abs(matrix[2, :2]).max() > 0.01:
        raise DataError(
            f"{where}: focal lengths {matrix[0, 0]:g} and {matrix[1, 1]:g}, last row {matrix[2].tolist()}; expected "
            "positive focal lengths in pixels and a last row 0, 0, 1."
        )
    return matrix


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
            if (self._path / f"{stem}{suffix}").is_file():
                return read_camera(self._path / f"{stem}{suffix}")
        raise DataError(f"{name}: no camera {stem}.txt, .yaml, .yml or .json in {self._path}.")
