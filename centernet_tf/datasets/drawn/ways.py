"""How drawn objects move: to and fro, over an edge and back, or out over one edge and in over another."""

import dataclasses

import numpy as np

ABSENT = (5, 20)  # fewest and most frames that who leaves is away


@dataclasses.dataclass(frozen=True, eq=False)
class Way:
    """To and fro along both axes, slower or faster."""

    middle: np.ndarray  # [2] pixels of the ground
    reach: np.ndarray  # [2] pixels to either side
    pace: np.ndarray  # [2] radians a frame
    phase: np.ndarray  # [2]

    def at(self, frame: float) -> np.ndarray:
        """[2] pixels of the ground."""
        return self.middle + self.reach * np.sin(self.phase + self.pace * frame)

    def along(self, axis: int, middle: float, reach: float, pace: float, phase: float) -> "Way":
        """The same way, but for what is given of one axis."""
        values = []
        for own, other in zip((self.middle, self.reach, self.pace, self.phase), (middle, reach, pace, phase)):
            changed = own.copy()
            changed[axis] = other
            values.append(changed)
        return Way(*values)


@dataclasses.dataclass(frozen=True)
class Room:
    """Where and how long objects move.

    Attributes:
        size: Height and width of the first view in pixels.
        frames: Of the video.
        step: The most that an object moves along each axis from frame to frame, in pixels.
        sway: And the most that the camera does.
    """

    size: tuple[int, int]
    frames: int
    step: float
    sway: float


def out_and_back(way: Way, rng: np.random.Generator, room: Room, unseen: float) -> Way:
    """A way that leads over one edge of the first view and back, once in the video's middle half.

    Args:
        way: What stays along the other axis.
        rng: Where the choices come from.
        room: Where and how long.
        unseen: Pixels of the middle beyond the edge where too little is seen.
    """
    axis = int(rng.integers(2))
    half = room.size[1 - axis] / 2
    gone = half + unseen  # from the view's middle
    absent, when = rng.uniform(*ABSENT), room.frames * rng.uniform(0.25, 0.75)
    step = rng.uniform(0.6, 1) * room.step
    # Near its turning point a sine is a parabola: it is beyond `gone` while reach * (pace * t)^2 / 2 < reach - gone.
    reach = gone + (step * absent / 2) ** 2 / (2 * gone)
    return way.along(axis, half, reach, step / reach, rng.choice([-1, 1]) * np.pi / 2 - step / reach * when)


def out_and_elsewhere(
    way: Way, rng: np.random.Generator, room: Room, unseen: float, radius: float
) -> tuple[Way, Way, float]:
    """A way out over one edge of the first view and one in over another, once in the video's middle half.

    Args:
        way: What stays along the other axis until it is out.
        rng: Where the choices come from.
        room: Where and how long; the step is above 0.
        unseen: Pixels of the middle beyond the edge where too little is seen.
        radius: Pixels of the middle beyond the edge where nothing is seen.

    Returns:
        The way out, the way in, and the frame that ends the one and begins the other, with nothing in sight on either.
    """
    absent, when = rng.uniform(*ABSENT), room.frames * rng.uniform(0.25, 0.75)
    step = rng.uniform(0.6, 1) * room.step
    # 0.7 of the step is less than it moves there, see `_over`.
    absent = max(absent, 2 * (radius + room.sway * when - unseen) / (0.7 * step))
    out, back = rng.permutation(4)[:2]
    other = Way(rng.uniform(0.2, 0.8, 2) * room.size[::-1], way.reach, way.pace, rng.uniform(0, 2 * np.pi, 2))
    first = _over(way, int(out), room, (step, unseen, when - absent / 2))
    return first, _over(other, int(back), room, (-step, unseen, when + absent / 2)), when


def _over(way: Way, edge: int, room: Room, crossing: tuple[float, float, float]) -> Way:
    """The way, but along one axis over an edge: 0 left, 1 top, 2 right, 3 bottom.

    The crossing is the longest step, above 0 out and below 0 in, and pixels beyond the edge at a frame.
    """
    axis, (step, beyond, frame) = edge % 2, crossing
    half = room.size[1 - axis] / 2
    # At half of its reach a sine is almost as fast as in its middle, and it turns far outside.
    reach = 2 * (half + beyond) * (1 if edge > 1 else -1)
    pace = step / abs(reach)
    return way.along(axis, half, reach, pace, np.pi / 6 - pace * frame)
