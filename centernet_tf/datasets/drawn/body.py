"""A drawn person: thirteen keypoints, the parts between them, and how both take a pose.

Lengths are fractions of the standing height; x grows to the right and y downwards in the image. Colours are free, so
left and right are told as in photographs: by whether the person shows the face or the back of the head.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

PAIRED = ("shoulder", "elbow", "hand", "hip", "knee", "foot")
SIDES = ("left", "right")
KEYPOINTS = ("head", *(f"{side}_{name}" for name in PAIRED for side in SIDES))


@dataclass(frozen=True)
class Part:
    """A closed curve of one colour.

    Attributes:
        curve: [P, 2] x, y.
        color: "skin", "hair", "shirt", "sleeve", "trousers", "shoe" or "mark".
        keypoints: Keypoints that are seen where this part is seen.
    """

    curve: np.ndarray
    color: str
    keypoints: tuple[int, ...]


@dataclass(frozen=True)
class Body:
    """A person in a pose.

    Attributes:
        keypoints: [13, 2] x, y of `KEYPOINTS`.
        parts: What to paint, the farthest first.
    """

    keypoints: np.ndarray
    parts: tuple[Part, ...]

    def placed(self, scale: float, shift: np.ndarray) -> "Body":
        """The same person, scaled about the origin and then moved by (x, y)."""
        parts = tuple(Part(part.curve * scale + shift, part.color, part.keypoints) for part in self.parts)
        return Body(self.keypoints * scale + shift, parts)

    @property
    def box(self) -> np.ndarray:
        """[4] left, top, right, bottom around all parts."""
        points = np.concatenate([part.curve for part in self.parts])
        return np.concatenate([points.min(axis=0), points.max(axis=0)])


def strike_pose(rng: np.random.Generator, tilt: float, limber: float, turned: float) -> Body:
    """A person of random build in a random pose, the hips at the origin.

    Args:
        rng: Where the choices come from.
        tilt: Standard deviation of the lean of the whole body, in degrees.
        limber: How far limbs leave the standing pose, 0 to 1.
        turned: The fraction of persons that show their back.
    """
    faces = rng.random() >= turned
    yaw = rng.uniform(0.65, 1.0)
    points = {}
    trunk, head = rng.uniform(0.26, 0.32), rng.uniform(0.13, 0.16)
    wide, narrow = yaw * rng.uniform(0.105, 0.13), yaw * rng.uniform(0.06, 0.08)
    arm, leg = rng.uniform(0.15, 0.18), rng.uniform(0.21, 0.245)
    points["head"] = np.array([rng.uniform(-0.03, 0.03), -trunk - head])
    for side in SIDES:
        outward = 1.0 if (side == "left") == faces else -1.0  # a person who faces us has the left hand on our right
        raised, bent = rng.uniform(-10, 20 + 140 * limber), rng.uniform(-10, 20 + 100 * limber)
        spread, folded = rng.uniform(-5, 10 + 40 * limber), rng.uniform(-10 - 60 * limber, 5)
        points[f"{side}_shoulder"] = np.array([outward * wide, -trunk])
        points[f"{side}_elbow"] = points[f"{side}_shoulder"] + arm * _toward(raised, outward)
        points[f"{side}_hand"] = points[f"{side}_elbow"] + arm * _toward(raised + bent, outward)
        points[f"{side}_hip"] = np.array([outward * narrow, 0.0])
        points[f"{side}_knee"] = points[f"{side}_hip"] + leg * _toward(spread, outward)
        points[f"{side}_foot"] = points[f"{side}_knee"] + leg * _toward(spread + folded, outward)
    behind = [bool(flag) for flag in rng.random(2) < 0.3]
    lean = np.deg2rad(rng.normal(0, tilt))
    turn = np.array([[np.cos(lean), np.sin(lean)], [-np.sin(lean), np.cos(lean)]])
    points = {name: point @ turn for name, point in points.items()}
    parts = _parts(points, faces, behind, np.array([0.0, -1.0]) @ turn)
    return Body(np.array([points[name] for name in KEYPOINTS]), parts)


def _toward(degrees: float, outward: float) -> np.ndarray:
    """Orientation that hangs down at 0 and points outward at 90."""
    angle = np.deg2rad(degrees)
    return np.array([outward * np.sin(angle), np.cos(angle)])


def _parts(points: Mapping[str, np.ndarray], faces: bool, behind: list[bool], up: np.ndarray) -> tuple[Part, ...]:
    trunk = [f"{side}_{name}" for name in ("shoulder", "hip") for side in SIDES]
    hull = np.concatenate([_circle(points[name], 0.045) for name in trunk])
    arms = [
        [
            _limb(points, "sleeve", (f"{side}_shoulder", f"{side}_elbow"), (0.042, 0.034)),
            _limb(points, "skin", (f"{side}_elbow", f"{side}_hand"), (0.030, 0.026)),
            Part(_circle(points[f"{side}_hand"], 0.036), "skin", _indices(f"{side}_hand")),
        ]
        for side in SIDES
    ]
    legs = [
        [
            _limb(points, "trousers", (f"{side}_hip", f"{side}_knee"), (0.050, 0.042)),
            _limb(points, "trousers", (f"{side}_knee", f"{side}_foot"), (0.038, 0.030)),
            Part(_circle(points[f"{side}_foot"], 0.042), "shoe", _indices(f"{side}_foot")),
        ]
        for side in SIDES
    ]
    parts = [part for arm, hides in zip(arms, behind) if hides for part in arm]
    parts += [part for leg in legs for part in leg]
    parts.append(Part(cv2.convexHull(hull.astype(np.float32))[:, 0].astype(np.float64), "shirt", _indices(*trunk)))
    parts += _head(points, faces, up)
    return tuple(parts + [part for arm, hides in zip(arms, behind) if not hides for part in arm])


def _head(points: Mapping[str, np.ndarray], faces: bool, up: np.ndarray) -> list[Part]:
    """Head and, of a person who faces us, hair above the brow, eyes, and a mark on the chest."""
    middle, keypoint = points["head"], _indices("head")
    if not faces:
        return [Part(_circle(middle, 0.075), "hair", keypoint)]
    aside = np.array([-up[1], up[0]])
    chest = (points["left_shoulder"] + points["right_shoulder"]) / 2 - 0.09 * up
    trunk = _indices("left_shoulder", "right_shoulder", "left_hip", "right_hip")
    return [
        Part(_circle(chest, 0.035), "mark", trunk),
        Part(_circle(middle, 0.075), "hair", keypoint),
        Part(_circle(middle - 0.018 * up, 0.058), "skin", keypoint),
        *(Part(_circle(middle + sign * 0.026 * aside - 0.008 * up, 0.011), "hair", keypoint) for sign in (-1, 1)),
    ]


def _limb(points: Mapping[str, np.ndarray], color: str, ends: tuple[str, str], radii: tuple[float, float]) -> Part:
    outline = np.concatenate([_circle(points[name], radius) for name, radius in zip(ends, radii)])
    return Part(cv2.convexHull(outline.astype(np.float32))[:, 0].astype(np.float64), color, _indices(*ends))


def _circle(middle: np.ndarray, radius: float) -> np.ndarray:
    angles = np.arange(20) * (2 * np.pi / 20)
    return middle + radius * np.stack([np.cos(angles), np.sin(angles)], axis=-1)


def _indices(*names: str) -> tuple[int, ...]:
    return tuple(KEYPOINTS.index(name) for name in names)
