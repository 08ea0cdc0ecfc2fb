"""Videos without a download: drawn shapes that move, turn, cross, hide behind one another, leave and come back.

Frame f of video v of a split depends on nothing but the seed, the split's name, v and f.
"""

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import cv2
import numpy as np

from centernet_tf.datasets.drawn.items import DrawnItems
from centernet_tf.datasets.drawn.samples import SAMPLES, rasterise, region_of
from centernet_tf.datasets.drawn.shapes import CLASSES, OUTLINES, colors_of, paint, standing_out
from centernet_tf.datasets.drawn.textures import Pattern, textured_ground, worn_patterns
from centernet_tf.datasets.drawn.ways import Room, Way, out_and_back, out_and_elsewhere
from centernet_tf.datasets.items import Item, Split
from centernet_tf.errors import UsageError
from centernet_tf.properties.tracks import Tracks

MOST_OBJECTS = 60

Colors = Callable[[tuple[slice, slice]], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Film:
    """What a video may contain.

    Attributes:
        frames: Of each video.
        objects: Fewest and most objects that move in it.
        sizes: Shortest and longest longer side of a box, as a fraction of the image's shorter side.
        speed: The most that an object moves from frame to frame, as a fraction of the image's shorter side.
        turn: The most that it turns from frame to frame, in degrees.
        camera: The most that the camera moves from frame to frame, as a fraction of the image's shorter side.
        rate: Frames a second; only the times of the frames depend on it.
        visible: The smallest part of an object that must be seen for it to be annotated.
        contrast: Smallest distance of an object's colour from the ground's, RGB levels, 0 to 441.
        texture: Strength of the ground's pattern, 0 to 1.
        noise: Standard deviation of the grain over everything, as a fraction of 255.
        kinds: The classes.
        look_alikes: All objects of a class have one colour in a video, and each wears a pattern of its own in a second
            colour, by which alone it is told from the others; else each has a colour of its own.
        away: The fraction of objects that leave the image for `ways.ABSENT` frames, or as many as the camera makes it,
            and come back, at some time in the middle half of the video.
        elsewhere: They come back over another edge, at any place of it, once they were out of sight, which may take
            longer; else over the same edge.
    """

    frames: int = 48
    objects: tuple[int, int] = (3, 6)
    sizes: tuple[float, float] = (0.2, 0.35)
    speed: float = 0.04
    turn: float = 4.0
    camera: float = 0.01
    rate: float = 12.0
    visible: float = 0.25
    contrast: float = 110.0
    texture: float = 0.35
    noise: float = 0.02
    kinds: tuple[str, ...] = CLASSES
    look_alikes: bool = False
    away: float = 0.0
    elsewhere: bool = False

    def __post_init__(self) -> None:
        low, high = self.objects
        if not 0 <= low <= high <= MOST_OBJECTS:
            raise UsageError(f"video: objects {self.objects} must be two counts, fewest first, 0 to {MOST_OBJECTS}.")
        if not 0 < self.sizes[0] <= self.sizes[1] <= 1:
            raise UsageError(f"video: sizes {self.sizes} must be two fractions of the image, smallest first, up to 1.")
        if self.frames < 1 or not self.rate > 0:
            raise UsageError(f"video: {self.frames} frames at {self.rate} a second; expected at least 1, above 0.")
        if not 0 <= self.turn <= 180:
            raise UsageError(f"video: turn is {self.turn}; expected 0 to 180 degrees.")
        for name in ("speed", "camera", "visible", "texture", "noise", "away"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"video: {name} is {getattr(self, name)}; expected 0 to 1.")
        if self.away and self.elsewhere and not self.speed:
            raise UsageError("video: speed is 0, but who returns elsewhere moves. Raise it, or set away to 0.")
        if not self.kinds or len({*self.kinds}) < len(self.kinds) or not {*self.kinds} <= {*CLASSES}:
            raise UsageError(f"video: kinds {self.kinds}; expected some of {', '.join(CLASSES)}, none twice.")

    @classmethod
    def of_look_alikes(cls, **settings: Any) -> "Film":
        """Videos in which position is soon no help: two classes, few colours, and half of the objects return elsewhere.

        Args:
            settings: Other values than these.
        """
        usual = {"objects": (4, 6), "kinds": ("circle", "rectangle"), "camera": 0.001}
        return cls(**{**usual, "look_alikes": True, "away": 0.5, "elsewhere": True, **settings})


@dataclasses.dataclass(frozen=True, eq=False)
class _Actor:
    """An object and how it moves: along its way, and after a frame along another, turning evenly."""

    kind: int
    curves: tuple[np.ndarray, ...]  # of size 1, around its middle
    size: float  # pixels of its longer side before it turns
    way: Way
    tilt: float
    turn: float
    color: np.ndarray  # [3]
    shade: np.ndarray  # [2]
    pattern: Pattern | None = None
    later: Way | None = None
    until: float = np.inf  # frame that ends the first way

    def pose(self, frame: int) -> tuple[np.ndarray, np.ndarray]:
        """Its middle [2] in pixels of the ground, and its rotation [2, 2]."""
        angle = self.tilt + self.turn * frame
        rotation = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        way = self.way if self.later is None or frame < self.until else self.later
        return way.at(frame), rotation

    def place(self, frame: int) -> list[np.ndarray]:
        """Its curves [P, 2] (x, y) in pixels of the ground."""
        center, rotation = self.pose(frame)
        return [center + self.size * curve @ rotation for curve in self.curves]

    def colors(self, frame: int, region: tuple[slice, slice], origin: np.ndarray) -> np.ndarray:
        """Its colour [3], or colours [rows, columns, 3] of a region of the image, whose corner is at `origin`."""
        if self.pattern is None:
            return self.color
        center, rotation = self.pose(frame)
        rows, columns = np.mgrid[region] + 0.5
        points = (np.stack([columns, rows], axis=-1) + origin - center) @ rotation.T / self.size
        return self.color + self.pattern.weight(points)[..., None] * (self.pattern.color - self.color)


# Arguments of `read` for examples to look at, see `sets`.
EXAMPLES = ({"size": (256, 256)}, {"size": (256, 256), "film": Film.of_look_alikes()})


def read(
    count: int, size: tuple[int, int] = (128, 128), *, seed: int = 0, split: str = "train", film: Film | None = None
) -> Split:
    """A split of drawn videos.

    Args:
        count: Number of videos.
        size: Height and width in pixels, at least 32 each.
        seed: A whole number from 0. One seed serves all splits of a data set, for their videos differ.
        split: "train", "val", ...
        film: What the videos may contain.

    Returns:
        The classes of the film, the frames in order, and the property tracks.

    Raises:
        UsageError: There would be no videos, they would be too small, or the seed is negative.
    """
    film = film or Film()
    if min(size) < 32:
        raise UsageError(f"video: size {size[0]}x{size[1]} is too small; height and width must be at least 32.")

    def draw(numbers: Sequence[int]) -> dict[str, Any]:
        *start, index = numbers
        video, frame = divmod(index, film.frames)
        image, boxes, classes, ids = draw_frame((*start, video), frame, size, film)
        return {
            "source": image,
            "boxes": boxes,
            "classes": classes,
            "rows": {"track_ids": ids},
            "video": f"{video:04d}",
            "frame": frame + 1,
            "time": frame / film.rate,
        }

    items: Sequence[Item] = DrawnItems("video", count * film.frames, seed, split, draw)
    return Split(film.kinds, items, (Tracks(),))


def draw_frame(
    seed: Sequence[int], frame: int, size: tuple[int, int], film: Film
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Draws one frame of one video; the same arguments always draw the same one.

    Args:
        seed: Whole numbers from 0 that name the video.
        frame: Its number, from 0.
        size: Height and width in pixels.
        film: What the video may contain.

    Returns:
        Image [H, W, 3] uint8, RGB; boxes [N, 4] float32 left, top, right, bottom in pixels, around all of each object,
        hidden or beyond the image's edge too; classes [N] int64, positions in `film.kinds`; identities [N] int64.
    """
    streams = [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(4)]
    ground, things, camera = streams[:3]
    grain = np.random.default_rng([*seed, frame])
    margin = _margin(size, film)
    whole = textured_ground(ground, (size[0] + 2 * margin, size[1] + 2 * margin), film.texture, lines=4)
    shift = margin + _shift(camera, frame, size, film)  # of the image's corner on the ground
    actors = [_actor(things, size, whole, film) for _ in range(things.integers(film.objects[0], film.objects[1] + 1))]
    if film.away:
        actors = [_leaving(one, streams[3], size, film) if streams[3].random() < film.away else one for one in actors]
    if film.look_alikes:
        actors = _alike(actors, streams[3], whole, film)
    view = np.float64([[1, 0, -shift[0]], [0, 1, -shift[1]]])
    image = cv2.warpAffine(whole, view, size[::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    placed = [[curve + margin - shift for curve in actor.place(frame)] for actor in actors]
    looks = [(partial(actor.colors, frame, origin=shift - margin), actor.shade) for actor in actors]
    boxes, seen = paint_over(image, placed, looks)
    if film.noise:
        image += grain.standard_normal(image.shape, np.float32) * np.float32(255 * film.noise)
    shown = np.flatnonzero(seen >= max(film.visible, 1e-9))
    kinds = np.array([actor.kind for actor in actors], np.int64)
    return np.clip(image + 0.5, 0, 255).astype(np.uint8), boxes[shown], kinds[shown], shown.astype(np.int64)


def paint_over(
    image: np.ndarray, placed: Sequence[Sequence[np.ndarray]], looks: Sequence[tuple[Colors, np.ndarray]]
) -> tuple[np.ndarray, np.ndarray]:
    """Paints objects over an image, later ones over earlier ones.

    Args:
        image: [H, W, 3] float32, RGB; painted on.
        placed: The curves [P, 2] (x, y) of each object in pixels, the outer one first; may lie beyond the edges.
        looks: Of each what gives the colours of a region (rows, columns), [3] or [rows, columns, 3], and its shade [2].

    Returns:
        Boxes [N, 4] float32 around all of each object, and the part [N] of each that is seen, 0 to 1.
    """
    size = image.shape[:2]
    owners = np.zeros((size[0] * SAMPLES, size[1] * SAMPLES), np.uint8)
    boxes = np.array([_box(curves) for curves in placed], np.float32).reshape(-1, 4)
    for number, ((colors, shade), curves, box) in enumerate(zip(looks, placed, boxes), start=1):
        if (box[2:] <= 0).any() or (box[:2] >= size[::-1]).any():
            continue
        region = region_of(box, size)
        mask = rasterise(curves, region)
        owners[tuple(slice(part.start * SAMPLES, part.stop * SAMPLES) for part in region)][mask > 0] = number
        paint(image[region], mask, colors(region), shade)
    areas = np.array([_area(curves) for curves in placed])
    return boxes, np.bincount(owners.reshape(-1), minlength=len(placed) + 1)[1:] / np.maximum(areas, 1)


def _actor(rng: np.random.Generator, size: tuple[int, int], ground: np.ndarray, film: Film) -> _Actor:
    """Draws an object and its way by lot; all of it but the camera's motion."""
    kind = int(rng.integers(len(film.kinds)))
    outline = OUTLINES[film.kinds[kind]]
    side = min(size)
    extent = np.array(size[::-1], float)
    reach = rng.uniform(0.15, 0.6, 2) * extent
    speed = rng.uniform(0.3, 1, 2) * film.speed * side / np.sqrt(2)  # the most along each axis
    return _Actor(
        kind=kind,
        curves=tuple(curve / np.ptp(outline[0], axis=0).max() for curve in outline),
        size=side * float(np.exp(rng.uniform(*np.log(film.sizes)))),
        way=Way(rng.uniform(0.2, 0.8, 2) * extent, reach, speed / reach, rng.uniform(0, 2 * np.pi, 2)),
        tilt=rng.uniform(0, 2 * np.pi),
        turn=np.deg2rad(rng.uniform(-film.turn, film.turn)),
        color=standing_out(colors_of(rng, kind, 1.0), ground, film.contrast),
        shade=rng.uniform(-25, 25, 2),
    )


def _leaving(actor: _Actor, rng: np.random.Generator, size: tuple[int, int], film: Film) -> _Actor:
    """The same actor on a way, or two, that leads out of the first view and in again."""
    step, sway = np.array([film.speed, film.camera]) * min(size) / np.sqrt(2)
    room = Room(size, film.frames, step, sway)
    unseen = actor.size * max(0.5 - film.visible, 0)
    if not film.elsewhere:
        return dataclasses.replace(actor, way=out_and_back(actor.way, rng, room, unseen))
    radius = actor.size * np.linalg.norm(actor.curves[0], axis=-1).max()
    way, later, until = out_and_elsewhere(actor.way, rng, room, unseen, radius)
    return dataclasses.replace(actor, way=way, later=later, until=until)


def _alike(actors: Sequence[_Actor], rng: np.random.Generator, ground: np.ndarray, film: Film) -> list[_Actor]:
    """The actors in one colour for each class, each with a pattern of its own."""
    own = [standing_out(colors_of(rng, kind, 1.0), ground, film.contrast) for kind in range(len(film.kinds))]
    hues = np.stack([np.arange(24) * 15.0, rng.uniform(0.5, 1, 24), rng.uniform(0.2, 1, 24)], axis=-1)
    palette = cv2.cvtColor(hues[None].astype(np.float32), cv2.COLOR_HSV2RGB)[0] * 255
    dressed = []
    for kind, color in enumerate(own):
        like = [number for number, actor in enumerate(actors) if actor.kind == kind]
        apart = palette[np.argsort(-np.linalg.norm(palette - color, axis=-1))[: len(palette) * 2 // 3]]
        for number, pattern in zip(like, worn_patterns(rng, len(like), apart)):
            dressed.append((number, dataclasses.replace(actors[number], color=color, pattern=pattern)))
    return [actor for _, actor in sorted(dressed, key=lambda one: one[0])]


def _margin(size: tuple[int, int], film: Film) -> int:
    """Pixels of ground around the first view, as far as the camera goes; beyond, the ground is mirrored."""
    return int(np.ceil(min(size) * min(1.0, film.camera * film.frames))) if film.camera else 0


def _shift(rng: np.random.Generator, frame: int, size: tuple[int, int], film: Film) -> np.ndarray:
    """[2] pixels from the first view to this one: the camera sways."""
    reach = max(_margin(size, film), 1)
    pace = rng.uniform(0.3, 1, 2) * film.camera * min(size) / np.sqrt(2) / reach
    phase = rng.uniform(0, 2 * np.pi, 2)
    return reach * (np.sin(phase + pace * frame) - np.sin(phase))


def _box(curves: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate([curves[0].min(axis=0), curves[0].max(axis=0)])


def _area(curves: Sequence[np.ndarray]) -> float:
    """In samples."""
    outer, *holes = [cv2.contourArea(curve.astype(np.float32)) * SAMPLES**2 for curve in curves]
    return outer - sum(holes)
