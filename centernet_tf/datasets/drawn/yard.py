"""What stands where in an image of `datasets.scenes`: vehicles and cabinets on flat ground, before a camera."""

from dataclasses import dataclass

import numpy as np

from centernet_tf.errors import UsageError
from centernet_tf.geometry.camera import corners, project

TRIES = 30  # places tried for one object before the yard goes without it
NEAREST = 1.5  # metres that every corner keeps before the camera
GROUND = 1.9  # metres from the camera down to the ground


@dataclass(frozen=True)
class Kind:
    """A class of objects.

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
        objects: Fewest and most objects of an image; fewer stand there where no room is left.
        distances: Nearest and farthest middle of an object in metres.
        far: The fraction of objects that stand beyond, up to twice as far, and are ignored.
        hidden: The largest fraction of a box that nearer boxes may cover when placed.
        outside: The largest fraction of a box that may lie beyond the image's edge.
        variety: The most that a dimension differs from the usual one of its class, as a fraction.
        tint: The fraction of objects in their class' own hue; the others have any colour.
        varied: The fraction of cameras that differ from the usual one, by up to 1 % of the focal length.
        haze: How much of the colour is lost at the farthest distance, 0 to 1.
        noise: Standard deviation of the grain over everything, as a fraction of 255.
    """

    objects: tuple[int, int] = (1, 5)
    distances: tuple[float, float] = (6.0, 14.0)
    far: float = 0.08
    hidden: float = 0.35
    outside: float = 0.2
    variety: float = 0.1
    tint: float = 1.0
    varied: float = 1.0
    haze: float = 0.2
    noise: float = 0.015

    def __post_init__(self) -> None:
        low, high = self.objects
        if not 0 <= low <= high <= 100:
            raise UsageError(f"scenes: boxes {self.objects} must be two counts, fewest first, from 0 to 100.")
        near, far = self.distances
        if not 5 <= near <= far <= 200:
            raise UsageError(f"scenes: distances {self.distances} must be metres, nearest first, from 5 to 200.")
        for name in ("far", "hidden", "outside", "tint", "varied", "haze", "noise"):
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
            objects=(1, round(between(easy.objects[1], 16))),
            distances=(between(easy.distances[0], 5.0), between(easy.distances[1], 45.0)),
            far=between(easy.far, 0.15),
            hidden=between(easy.hidden, 0.75),
            outside=between(easy.outside, 0.6),
            variety=between(easy.variety, 0.25),
            tint=between(easy.tint, 0.0),
            varied=easy.varied,
            haze=between(easy.haze, 0.7),
            noise=between(easy.noise, 0.06),
        )


@dataclass(frozen=True)
class Thing:
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


def choose_camera(rng: np.random.Generator, size: tuple[int, int], varied: float = 1.0) -> np.ndarray:
    """A camera [3, 4] that sees 53 degrees of the scene, its horizon a little above the middle of the image.

    Args:
        rng: Where the choices come from.
        size: Height and width of the image in pixels.
        varied: The fraction of cameras that differ from the usual one: in focal length, optical axis and the offsets of
            the last column, by up to 10 centimetres, as one of several cameras on a car has them.
    """
    height, width = size
    change = rng.uniform(-1, 1, 6) * (rng.random() < varied)
    focal = width * (1 + 0.01 * change[0])
    middle = np.array([width * (0.5 + 0.02 * change[1]), height * (0.42 + 0.005 * change[2])])
    offset = np.array([0.1, 0.01, 0.003]) * change[3:]
    camera = np.array([[focal, 0, middle[0]], [0, focal, middle[1]], [0, 0, 1]])
    return np.concatenate([camera, (camera @ offset)[:, None]], axis=1).astype(np.float32)


def place_objects(rng: np.random.Generator, camera: np.ndarray, size: tuple[int, int], yard: Yard) -> list[Thing]:
    """Chooses objects that do not touch each other and hide or leave the image no more than the yard allows."""
    placed: list[Thing] = []
    for _ in range(rng.integers(yard.objects[0], yard.objects[1] + 1)):
        kind = int(rng.integers(len(KINDS)))
        far = bool(rng.random() < yard.far)
        for _ in range(TRIES):
            thing = _place(rng, kind, far, camera, size, yard)
            if _fits(thing, placed, camera, size, yard):
                placed.append(thing)
                break
    return placed


def projected_box(thing: Thing, camera: np.ndarray) -> np.ndarray:
    """[4] float64 left, top, right, bottom around the projected corners, in pixels, not clipped to the image."""
    pixels = project(corners_of(thing), np.asarray(camera, np.float64))
    return np.concatenate([pixels.min(axis=0), pixels.max(axis=0)])


def corners_of(thing: Thing) -> np.ndarray:
    """[8, 3] corners in metres, float64."""
    return corners(thing.location, thing.dimensions, np.float64(thing.rotation))


def fraction_outside(box: np.ndarray, size: tuple[int, int]) -> float:
    """Which part of a box [4] lies beyond the image's edge."""
    limit = np.array([size[1], size[0]] * 2)
    left, top, right, bottom = np.clip(box, 0, limit)
    return float(1 - (right - left) * (bottom - top) / ((box[2] - box[0]) * (box[3] - box[1])))


def _place(
    rng: np.random.Generator, kind: int, far: bool, camera: np.ndarray, size: tuple[int, int], yard: Yard
) -> Thing:
    near, most = yard.distances
    # Even in distance, not in area: else almost all would be far away.
    depth = rng.uniform(1.2 * most, 2 * most) if far else rng.uniform(near, most)
    column = rng.uniform(-0.1, 1.1) * size[1]
    across = (column - camera[0, 2]) * depth / camera[0, 0]
    usual = np.array(KINDS[kind].dimensions)
    return Thing(
        kind=kind,
        location=np.array([across, GROUND, depth]),
        dimensions=usual * rng.uniform(1 - yard.variety, 1 + yard.variety, 3),
        rotation=float(rng.uniform(-np.pi, np.pi)),
        far=far,
    )


def _fits(thing: Thing, placed: list[Thing], camera: np.ndarray, size: tuple[int, int], yard: Yard) -> bool:
    if corners_of(thing)[:, 2].min() < NEAREST:
        return False
    box = projected_box(thing, camera)
    if fraction_outside(box, size) > yard.outside:
        return False
    return all(_apart(thing, other) and _seen(thing, other, camera, yard.hidden) for other in placed)


def _apart(one: Thing, other: Thing) -> bool:
    """Whether the circles around two ground faces leave each other free."""
    radii = [np.hypot(thing.dimensions[1], thing.dimensions[2]) / 2 for thing in (one, other)]
    return bool(np.linalg.norm(one.location - other.location) > sum(radii))


def _seen(one: Thing, other: Thing, camera: np.ndarray, hidden: float) -> bool:
    """Whether the nearer object covers no more of the farther one's box than allowed."""
    near, far = sorted((one, other), key=lambda thing: thing.location[2])
    first, second = projected_box(near, camera), projected_box(far, camera)
    sides = np.minimum(first[2:], second[2:]) - np.maximum(first[:2], second[:2])
    return bool(np.prod(sides.clip(0)) <= hidden * np.prod(second[2:] - second[:2]))
