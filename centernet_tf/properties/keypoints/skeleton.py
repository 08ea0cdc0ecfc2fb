"""The keypoints of an object: their names, mirrored pairs and limbs, and how exactly people place each of them."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydantic
import yaml

from centernet_tf.errors import UsageError, brief, closest
from centernet_tf.host.strict_yaml import parse_file

# COCO's people measured 0.025 (eyes) to 0.107 (hips), median 0.072; a keypoint that is 0.1 of the object's size away
# (size is the root of its area) then counts 0.61. Small figures of sharp points want less, blurred ones more.
DEFAULT_SIGMA = 0.05

_EXAMPLE = "keypoints: [nose, left_eye, right_eye]"
_KEYS = ("keypoints", "flip_pairs", "limbs", "sigmas")
_LEFTS = {"left": "right", "l": "r"}
# Ways to mirror the words of a name, the best first: the left corner of the right eye becomes the right corner of the
# left one, but in names such as r_hand_l and r_hand_r only one word tells the side.
_MIRRORS = (
    _LEFTS | {right: left for left, right in _LEFTS.items()},
    *({left: right} for left, right in _LEFTS.items()),
)


class Skeleton(pydantic.BaseModel):
    """J keypoints in the order of the arrays [J, ...] that hold them; keypoints are meant by their index.

    Attributes:
        keypoints: Name of each keypoint.
        flip_pairs: Keypoints that change places in a mirrored image, such as the eyes; a keypoint in no pair stays.
        limbs: Keypoints that are joined by a line in drawn images.
        sigmas: One a keypoint, OKS's tolerance: the standard deviation of annotators, in parts of the object's size
            (the root of its area). `DEFAULT_SIGMA` each where none are given.
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    keypoints: tuple[str, ...]
    flip_pairs: tuple[tuple[int, int], ...] = ()
    limbs: tuple[tuple[int, int], ...] = ()
    sigmas: tuple[float, ...] = ()

    @pydantic.model_validator(mode="before")
    @classmethod
    def _default_sigmas(cls, values: Any) -> Any:
        if isinstance(values, dict) and not values.get("sigmas"):
            return {**values, "sigmas": (DEFAULT_SIGMA,) * len(values.get("keypoints", ()))}
        return values

    @pydantic.model_validator(mode="after")
    def _consistent(self) -> "Skeleton":
        count = len(self.keypoints)
        if not count:
            raise ValueError(f"'keypoints' is empty; name at least one, such as `{_EXAMPLE}`")
        if nameless := [index for index, name in enumerate(self.keypoints, start=1) if not name.strip()]:
            raise ValueError(
                f"'keypoints' has no name for keypoint {nameless[0]} of {count}; each keypoint needs its own name"
            )
        if twice := sorted({name for name in self.keypoints if self.keypoints.count(name) > 1}):
            raise ValueError(f"'keypoints' names {', '.join(twice)} twice; each keypoint needs its own name")
        for what, pairs in (("flip_pairs", self.flip_pairs), ("limbs", self.limbs)):
            for pair in pairs:
                if outside := [index for index in pair if not 0 <= index < count]:
                    raise ValueError(f"'{what}' has keypoint {outside[0]} of {count}; expected 0 to {count - 1}")
                if pair[0] == pair[1]:
                    raise ValueError(f"'{what}' joins {self.keypoints[pair[0]]!r} with itself; a pair is two keypoints")
        paired = [index for pair in self.flip_pairs for index in pair]
        if twice := sorted({self.keypoints[index] for index in paired if paired.count(index) > 1}):
            raise ValueError(
                f"'flip_pairs' has {', '.join(twice)} in two pairs; a keypoint changes places with one other"
            )
        if len(self.sigmas) != count:
            raise ValueError(f"{len(self.sigmas)} 'sigmas' for {count} keypoints; expected one each, or none at all")
        if bad := [value for value in self.sigmas if not 0 < value < np.inf]:
            raise ValueError(f"'sigmas' holds {bad[0]}; expected numbers above 0, COCO's are 0.025 to 0.107")
        return self

    @property
    def flip_order(self) -> tuple[int, ...]:
        """Where each keypoint of a mirrored object comes from: `keypoints[:, order]` puts the pairs in their places."""
        order = list(range(len(self.keypoints)))
        for left, right in self.flip_pairs:
            order[left], order[right] = right, left
        return tuple(order)

    def as_dict(self) -> dict[str, Any]:
        """Plain lists and text for YAML and JSON; keypoints are meant by name."""
        return {
            "keypoints": list(self.keypoints),
            "flip_pairs": [[self.keypoints[index] for index in pair] for pair in self.flip_pairs],
            "limbs": [[self.keypoints[index] for index in pair] for pair in self.limbs],
            "sigmas": list(self.sigmas),
        }

    @classmethod
    def from_dict(cls, values: Any, where: str = "skeleton") -> "Skeleton":
        """Reads what `as_dict` gave or a person wrote.

        Args:
            values: "keypoints", a list of names; "flip_pairs" and "limbs", lists of two names each; "sigmas", a list of
                one number a keypoint, one number for all, or numbers by name, where other keypoints have
                `DEFAULT_SIGMA`. All but the keypoints may be missing.
            where: Stands in front of errors, such as the file's name.

        Raises:
            UsageError: A name is unknown, a keypoint is paired with itself or twice, a count is wrong.
        """
        if not isinstance(values, dict) or not isinstance(values.get("keypoints"), list | tuple):
            raise UsageError(f"{where}: got {values!r:.80}; expected a list of keypoint names, such as `{_EXAMPLE}`.")
        if unknown := [str(key) for key in values if key not in _KEYS]:
            hint = closest(unknown[0], _KEYS)
            raise UsageError(f"{where}: unknown {brief(unknown[0])}; expected {', '.join(_KEYS)}.{hint}")
        keypoints = tuple(values["keypoints"])
        if wrong := [name for name in keypoints if not isinstance(name, str)]:
            raise UsageError(
                f"{where}: keypoint {brief(wrong[0])} is not text; put quotes around names that YAML takes for numbers "
                "or yes and no."
            )
        try:
            return cls(
                keypoints=keypoints,
                flip_pairs=_indices(values, "flip_pairs", keypoints),
                limbs=_indices(values, "limbs", keypoints),
                sigmas=_sigmas(values.get("sigmas"), keypoints),
            )
        except pydantic.ValidationError as error:
            raise UsageError(f"{where}: {_reason(error)}.") from error
        except ValueError as error:
            raise UsageError(f"{where}: {error}") from error


def read_skeleton(path: str | Path) -> Skeleton:
    """Reads a skeleton from its YAML file, see `Skeleton.from_dict` for what it may hold.

    Raises:
        UsageError: There is no such file, it is no YAML, names a key twice, or what it says does not fit together.
    """
    path = Path(path)
    try:
        content = parse_file(path)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}. Give a YAML file such as `{_EXAMPLE}`.") from error
    except yaml.YAMLError as error:
        raise UsageError(f"{path}: not readable as YAML ({error}).") from error
    return Skeleton.from_dict(content, str(path))


def guess_flip_pairs(keypoints: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """Pairs keypoints whose names differ in left and right (or l and r) alone, as left_eye and right_eye, handL and
    handR.

    Args:
        keypoints: Names.

    Returns:
        Left and right index of each pair, in the order of the left keypoints; a keypoint is in one pair at most.
    """
    words = [tuple(_words(name)) for name in keypoints]
    pairs: dict[int, int] = {}
    for mirror in _MIRRORS:
        for index, name in enumerate(words):
            mirrored = tuple(mirror.get(word, word) for word in name)
            turned = [word for word in name if word in mirror]
            if not turned or turned[0] not in _LEFTS or mirrored not in words:
                continue
            other = words.index(mirrored)
            if not {index, other} & {*pairs, *pairs.values()}:
                pairs[index] = other
    return tuple(sorted(pairs.items()))


def _words(name: str) -> Iterable[str]:
    """Lower-case words of a name: LeftEye, left_eye and "left eye" are the same two.

    Letters of other scripts, with their marks and digits, are kept: they may be all that tells two names apart.
    """
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+|[^\x00-\x7f]+", name)]


def _indices(values: dict[str, Any], key: str, keypoints: tuple[str, ...]) -> tuple[tuple[int, int], ...]:
    pairs = values.get(key) or ()
    if not isinstance(pairs, list | tuple):
        raise UsageError(f"'{key}' is {pairs!r:.60}; expected a list of pairs, such as [[left_eye, right_eye]].")
    for pair in pairs:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise UsageError(f"'{key}' holds {pair!r:.60}; expected two names, such as [left_eye, right_eye].")
        if unknown := [name for name in pair if name not in keypoints]:
            raise UsageError(
                f"'{key}' names {brief(unknown[0])}, which is not a keypoint.{closest(str(unknown[0]), keypoints)}"
            )
    return tuple((keypoints.index(one), keypoints.index(other)) for one, other in pairs)


def _sigmas(given: Any, keypoints: tuple[str, ...]) -> tuple[float, ...]:
    if isinstance(given, dict):
        if unknown := [str(name) for name in given if name not in keypoints]:
            raise UsageError(
                f"'sigmas' names {brief(unknown[0])}, which is not a keypoint.{closest(unknown[0], keypoints)}"
            )
        return tuple(given.get(name, DEFAULT_SIGMA) for name in keypoints)
    if isinstance(given, int | float) and not isinstance(given, bool):
        return (given,) * len(keypoints)
    return tuple(given or ()) if isinstance(given, list | tuple | None) else (given,)


def _reason(error: pydantic.ValidationError) -> str:
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    text = first["msg"].removeprefix("Value error, ")
    return f"{place}: {text}" if place else text


COCO_PERSON = Skeleton.from_dict(
    {
        "keypoints": [
            "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
            "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee",
            "left_ankle", "right_ankle",
        ],
        "flip_pairs": [
            [f"left_{name}", f"right_{name}"]
            for name in ("eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle")
        ],
        "limbs": [
            ["left_ankle", "left_knee"], ["left_knee", "left_hip"], ["right_ankle", "right_knee"],
            ["right_knee", "right_hip"], ["left_hip", "right_hip"], ["left_shoulder", "left_hip"],
            ["right_shoulder", "right_hip"], ["left_shoulder", "right_shoulder"], ["left_shoulder", "left_elbow"],
            ["right_shoulder", "right_elbow"], ["left_elbow", "left_wrist"], ["right_elbow", "right_wrist"],
            ["left_eye", "right_eye"], ["nose", "left_eye"], ["nose", "right_eye"], ["left_eye", "left_ear"],
            ["right_eye", "right_ear"], ["left_ear", "left_shoulder"], ["right_ear", "right_shoulder"],
        ],
        "sigmas": [
            0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107, 0.107, 0.087, 0.087,
            0.089, 0.089,
        ],
    }
)  # fmt: skip
