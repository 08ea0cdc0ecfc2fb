"""What stands where in an image of `datasets.scenes`: vehicles and cabinets on flat ground, before a camera."""

from dataclasses import dataclass

import numpy as np

from centernet_tf.errors import UsageError
from centernet_tf.geometry.camera import corners, project

TRIES = 30  # places tried for one solid before the yard goes without it
NEAREST = 1.5  # metres that every corner keeps before the camera
GROUND = 1.9  # metres from the camera down to the ground


@dataclass(frozen=True)
class Kind:
    """A class of solids.

    Attributes:
        name: Name of the class.
        dimensions: Usual height, width, length in metres.
        hue: Usual colour, 0 to 1 around the circle.
        glass: From where to where windows reach along the side, -1 is the back and 1 the front.
        wheels: Places of the wheels along the side, -1 to 1.
    """

    name: str
    dimensions: tuple[float, float, float]
    hue: float
    glass: tuple[float, float]
    wheels: tuple[float, ...]


KINDS = (
    Kind("car", (1.6, 2.0, 4.0), 0.60, (-0.7, 0.3), (-0.6, 0.6)),
    Kind("truck", (2.7, 2.5, 5.0), 0.08, (0.55, 0.9), (-0.7, -0.4, 0.6)),
    Kind("cabinet", (2.1, 1.9, 1.9), 0.35, (0.0, 0.0), ()),
)


@dataclass(frozen=True)
class Yard:
    """What a scene may contain. The defaults suit a small network at 192 x 320; `Yard.at` makes it harder.

    Attributes:
        solids: Fewest and most solids of an image; fewer stand there where no room is left.
        distances: Nearest and farthest middle of a solid in metres.
        far: The share of solids that stand beyond, up to twice as far, and are neutral.
        hidden: The largest share of a box that nearer boxes may cover when placed.
        outside: The largest share of a box that may lie beyond the image's edge.
        variety: The most that a dimension differs from the usual one of its class, as a share.
        tint: The share of solids in their class' own hue; the others have any colour.
        turned: The share of cameras that differ from the usual one, by up to 1 % of the focal length.
        haze: How much of the colour is lost at the farthest distance, 0 to 1.
        noise: Standard deviation of the grain over everything, as a share of 255.
    """

    solids: tuple[int, int] = (1, 5)
    distances: tuple[float, float] = (6.0, 14.0)
    far: float = 0.08
    hidden: float = 0.35
    outside: float = 0.2
    variety: float = 0.1
    tint: float = 1.0
    turned: float = 1.0
    haze: float = 0.2
    noise: float = 0.015

    def __post_init__(self) -> None:
        low, high = self.solids
        if not 0 <= low <= high <= 100:
            raise UsageError(f"scenes: solids {self.solids} must be two counts, fewest first, from 0 to 100.")
        near, far = self.distances
        if not 5 <= near <= far <= 200:
            raise UsageError(f"scenes: distances {self.distances} must be metres, nearest first, from 5 to 200.")
        for name in ("far", "hidden", "outside", "tint", "turned", "haze", "noise"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"scenes: {name} {getattr(self, name)} must be from 0 to 1.")
        if not 0 <= self.variety <= 0.5:
            raise UsageError(f"scenes: variety {self.variety} must be from 0 to 0.5.")

    @classmethod
    def at(cls, difficulty: float) -> "Yard":
        """The yard between the defaults (0) and crowded, distant, half hidden, cut off and colourless (1).

        Raises:
            UsageError: The difficulty is not from 0 to 1.
        """
        if not 0 <= difficulty <= 1:
            raise UsageError(f"scenes: difficulty {difficulty} must be from 0 to 1.")
        easy = cls()

        def between(start: float, end: float) -> float:
            return start + difficulty * (end - start)

        return cls(
            solids=(1, round(between(easy.solids[1], 16))),
            distances=(between(easy.distances[0], 5.0), between(easy.distances[1], 45.0)),
            far=between(easy.far, 0.15),
            hidden=between(easy.hidden, 0.75),
            outside=between(easy.outside, 0.6),
            variety=between(easy.variety, 0.25),
            tint=between(easy.tint, 0.0),
            turned=easy.turned,
            haze=between(easy.haze, 0.7),
            noise=between(easy.noise, 0.06),
        )


@dataclass(frozen=True)
class Solid:
    """A box on the ground.

    Attributes:
        kind: Position in `KINDS`.
        location: [3] x, y, z of the middle of its bottom face in the camera's frame, metres.
        dimensions: [3] height, width, length in metres.
        rotation: About the y axis in radians, -pi to pi.
        far: Whether it stands beyond the distances that count.
    """

    kind: int
    location: np.ndarray
    dimensions: np.ndarray
    rotation: float
    far: bool


def choose_camera(rng: np.random.Generator, size: tuple[int, int], turned: float = 1.0) -> np.ndarray:
    """A camera [3, 4] that sees 53 degrees of the scene, its horizon a little above the middle of the image.

    Args:
        rng: Where the choices come from.
        size: Height and width of the image in pixels.
        turned: The share of cameras that differ from the usual one: in focal length, optical axis and the offsets of
            the last column, by up to 10 centimetres, as one of several cameras on a car has them.
    """
    height, width = size
    change = rng.uniform(-1, 1, 6) * (rng.random() < turned)
    focal = width * (1 + 0.01 * change[0])
    middle = np.array([width * (0.5 + 0.02 * change[1]), height * (0.42 + 0.005 * change[2])])
    offset = np.array([0.1, 0.01, 0.003]) * change[3:]
    camera = np.array([[focal, 0, middle[0]], [0, focal, middle[1]], [0, 0, 1]])
    return np.concatenate([camera, (camera @ offset)[:, None]], axis=1).astype(np.float32)


def place_solids(rng: np.random.Generator, camera: np.ndarray, size: tuple[int, int], yard: Yard) -> list[Solid]:
    """Chooses solids that do not touch each other and hide or leave the image no more than the yard allows."""
    placed: list[Solid] = []
    for _ in range(rng.integers(yard.solids[0], yard.solids[1] + 1)):
        kind = int(rng.integers(len(KINDS)))
        far = bool(rng.random() < yard.far)
        for _ in range(TRIES):
            solid = _place(rng, kind, far, camera, size, yard)
            if _fits(solid, placed, camera, size, yard):
                placed.append(solid)
                break
    return placed


def projected_box(solid: Solid, camera: np.ndarray) -> np.ndarray:
    """[4] float64 left, top, right, bottom around the projected corners, in pixels, not clipped to the image."""
    pixels = project(corners_of(solid), np.asarray(camera, np.float64))
    return np.concatenate([pixels.min(axis=0), pixels.max(axis=0)])


def corners_of(solid: Solid) -> np.ndarray:
    """[8, 3] corners in metres, float64."""
    return corners(solid.location, solid.dimensions, np.float64(solid.rotation))


def share_outside(box: np.ndarray, size: tuple[int, int]) -> float:
    """Which part of a box [4] lies beyond the image's edge."""
    limit = np.array([size[1], size[0]] * 2)
    left, top, right, bottom = np.clip(box, 0, limit)
    return float(1 - (right - left) * (bottom - top) / ((box[2] - box[0]) * (box[3] - box[1])))


def _place(
    rng: np.random.Generator, kind: int, far: bool, camera: np.ndarray, size: tuple[int, int], yard: Yard
) -> Solid:
    near, most = yard.distances
    # Even in distance, not in area: else almost all would be far away.
    depth = rng.uniform(1.2 * most, 2 * most) if far else rng.uniform(near, most)
    column = rng.uniform(-0.1, 1.1) * size[1]
    across = (column - camera[0, 2]) * depth / camera[0, 0]
    usual = np.array(KINDS[kind].dimensions)
    return Solid(
        kind=kind,
        location=np.array([across, GROUND, depth]),
        dimensions=usual * rng.uniform(1 - yard.variety, 1 + yard.variety, 3),
        rotation=float(rng.uniform(-np.pi, np.pi)),
        far=far,
    )


def _fits(solid: Solid, placed: list[Solid], camera: np.ndarray, size: tuple[int, int], yard: Yard) -> bool:
    if corners_of(solid)[:, 2].min() < NEAREST:
        return False
    box = projected_box(solid, camera)
    if share_outside(box, size) > yard.outside:
        return False
    return all(_apart(solid, other) and _seen(solid, other, camera, yard.hidden) for other in placed)


def _apart(one: Solid, other: Solid) -> bool:
    """Whether the circles around two ground faces leave each other free."""
    radii = [np.hypot(solid.dimensions[1], solid.dimensions[2]) / 2 for solid in (one, other)]
    return bool(np.linalg.norm(one.location - other.location) > sum(radii))


def _seen(one: Solid, other: Solid, camera: np.ndarray, hidden: float) -> bool:
    """Whether the nearer solid covers no more of the farther one's box than allowed."""
    near, far = sorted((one, other), key=lambda solid: solid.location[2])
    first, second = projected_box(near, camera), projected_box(far, camera)
    sides = np.minimum(first[2:], second[2:]) - np.maximum(first[:2], second[:2])
    return bool(np.prod(sides.clip(0)) <= hidden * np.prod(second[2:] - second[:2]))
