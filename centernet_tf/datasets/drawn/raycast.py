"""Boxes and ground through a camera, ray by ray: what each sample of the image sees, in which colour.

Rays go through the middle of each sample; pixel 0 reaches from 0 to 1, as everywhere in this package.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from centernet_tf.datasets.drawn.yard import GROUND, KINDS, Thing, projected_box

FINE = 2  # samples a pixel along each axis
AMBIENT = 0.55  # light on faces that the sun does not reach
PATTERN = 128  # side of the ground's pattern, which repeats, in cells
CELL = 0.12  # metres
_GLASS = np.array([40, 50, 70], np.float32)
_TYRE = np.array([28, 28, 30], np.float32)
_LAMP = np.array([255, 240, 180], np.float32)
_REAR = np.array([200, 20, 25], np.float32)


@dataclass(frozen=True, eq=False)
class Rendering:
    """A rendered image.

    Attributes:
        image: [H, W, 3] float32, RGB from about 0 to 255, not clipped.
        owners: [H * FINE, W * FINE] uint8, which object each sample shows: 1 is the first, 0 none.
        covered: [N] int, samples that each object would show if no other stood before it.
    """

    image: np.ndarray
    owners: np.ndarray
    covered: np.ndarray


def render(
    rng: np.random.Generator,
    camera: np.ndarray,
    size: tuple[int, int],
    objects: list[Thing],
    colors: np.ndarray,
    haze: float,
) -> Rendering:
    """Renders objects on patterned ground under a sky, in the light of one sun.

    Args:
        rng: Where colours of the ground and the place of the sun come from.
        camera: [3, 4].
        size: Height and width in pixels.
        objects: What stands on the ground.
        colors: [N, 3] float32, RGB of each object.
        haze: How much of the colour is lost at 40 metres, 0 to 1.
    """
    origin, rays = _rays(camera, size)
    sun = _sun(rng)
    image, depth = _ground(rng, origin, rays, objects)
    owners = np.zeros(depth.shape, np.uint8)
    covered = np.zeros(len(objects), int)
    for number, (thing, color) in enumerate(zip(objects, colors), start=1):
        region = _region(projected_box(thing, camera), depth.shape)
        distance, axis, place = _meet(origin, rays[region], thing)
        hit = np.isfinite(distance)
        covered[number - 1] = np.count_nonzero(hit)
        front = hit & (distance < depth[region])
        owners[region][front] = number
        depth[region][front] = distance[front]
        image[region][front] = _painted(rng, thing, color, sun, axis[front], place[front])
    mist = (haze * np.clip(depth / 40, 0, 1))[..., None].astype(np.float32)
    image += mist * (np.array([205, 212, 220], np.float32) - image)
    small = cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA)
    return Rendering(small, owners, covered)


def _rays(camera: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Where all rays start [3], and their orientations [H * FINE, W * FINE, 3], whose z is 1, so distance is depth."""
    camera = np.asarray(camera, np.float64)
    inverse = np.linalg.inv(camera[:, :3])
    rows, columns = ((np.arange(side * FINE) + 0.5) / FINE for side in size)
    pixels = np.stack([*np.meshgrid(columns, rows), np.ones((len(rows), len(columns)))], axis=-1)
    return -inverse @ camera[:, 3], (pixels @ inverse.T).astype(np.float32)


def _region(box: np.ndarray, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Samples that a box in pixels touches, one more on each side."""
    left, top = np.floor(box[:2] * FINE).astype(int) - 1
    right, bottom = np.ceil(box[2:] * FINE).astype(int) + 1
    return slice(max(top, 0), min(max(bottom, 0), shape[0])), slice(max(left, 0), min(max(right, 0), shape[1]))


def _sun(rng: np.random.Generator) -> np.ndarray:
    """[3] unit vector towards the sun, somewhere behind or beside the camera."""
    azimuth, height = rng.uniform(-np.pi, np.pi), rng.uniform(0.6, 1.1)
    sun = np.array([np.sin(azimuth), -np.tan(height), -np.cos(azimuth)])
    return sun / np.linalg.norm(sun)


def _turn(rotation: float) -> np.ndarray:
    """[3, 3] from an object's own axes (length, up, width) to the camera's."""
    cosine, sine = np.cos(rotation), np.sin(rotation)
    return np.array([[cosine, 0, sine], [0, 1, 0], [-sine, 0, cosine]])


def _meet(origin: np.ndarray, rays: np.ndarray, thing: Thing) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where rays [..., 3] enter an object.

    Returns:
        Distance [...], infinite where a ray misses; the axis [...] whose face is met (0 front or back, 1 top or bottom,
        2 a side); the place [..., 3] on the object, each from -1 to 1, 1 being front, bottom and left.
    """
    height, width, length = thing.dimensions
    half = np.array([length, height, width], np.float32) / 2
    turn = _turn(thing.rotation).astype(np.float32)
    start = ((origin - thing.location) @ turn + [0, height / 2, 0]).astype(np.float32)
    way = rays @ turn
    way = np.where(np.abs(way) < 1e-7, np.float32(1e-7), way)
    first, second = (-half - start) / way, (half - start) / way
    enters = np.minimum(first, second)
    axis = enters.argmax(axis=-1)
    near = enters.max(axis=-1)
    hit = (near < np.maximum(first, second).min(axis=-1)) & (near > 0)
    return np.where(hit, near, np.inf), axis, (start + near[..., None] * way) / half


def _painted(
    rng: np.random.Generator, thing: Thing, color: np.ndarray, sun: np.ndarray, axis: np.ndarray, place: np.ndarray
) -> np.ndarray:
    """Colours [S, 3] of samples of an object: windows, wheels and lamps tell its front from its back."""
    kind = KINDS[thing.kind]
    x, y, z = place.T
    waves = 1 + 0.06 * np.sin(x * rng.uniform(4, 12) + rng.uniform(0, 6)) * np.sin(y * rng.uniform(4, 12))
    paint = (color * waves[:, None]).astype(np.float32)
    ahead, behind, side, top = (axis == 0) & (x > 0), (axis == 0) & (x < 0), axis == 2, (axis == 1) & (y < 0)
    # Seen from afar, too, the front is pale and the back dark.
    paint[ahead] = 0.45 * paint[ahead] + np.float32(0.55 * 240)
    paint[behind] *= np.float32(0.45)
    low, high = kind.glass
    if high > low:
        glass = side & (x > low) & (x < high) & (y > -0.8) & (y < -0.1)
        glass |= ahead & (np.abs(z) < 0.8) & (y > -0.85) & (y < 0.0)
        glass |= top & (x > high) & (x < min(high + 0.35, 0.97)) & (np.abs(z) < 0.85)
        paint[glass] = _GLASS
    else:
        paint[ahead & (np.abs(z) < 0.75) & (np.abs(y) < 0.8)] *= np.float32(0.35)
        paint[top & (x > 0.3)] *= np.float32(0.6)
    lamps = (np.abs(z) > 0.5) & (np.abs(z) < 0.92) & (y > 0.2) & (y < 0.6)
    paint[ahead & lamps] = _LAMP
    paint[behind & (np.abs(z) > 0.45) & (y > -0.1) & (y < 0.5)] = _REAR
    # Lamps reach round the corner, so that a side alone tells where the front is.
    band = side & (np.abs(x) > 0.84) & (y > -0.1) & (y < 0.5)
    paint[band & (x > 0)] = _LAMP
    paint[band & (x < 0)] = _REAR
    for middle in kind.wheels:
        radius = 0.36  # metres
        across = (x - middle) * thing.dimensions[2] / 2
        up = (1 - y) * thing.dimensions[0] / 2 - radius
        paint[side & (across**2 + up**2 < radius**2)] = _TYRE
    # The face's own orientation, of the side that is met.
    outward = np.zeros((len(axis), 3))
    rows = np.arange(len(axis))
    outward[rows, axis] = np.sign(place[rows, axis])
    light = np.clip(outward @ _turn(thing.rotation).T @ sun, 0, None)
    return paint * (AMBIENT + (1 - AMBIENT) * light)[:, None].astype(np.float32)


def _ground(
    rng: np.random.Generator, origin: np.ndarray, rays: np.ndarray, objects: list[Thing]
) -> tuple[np.ndarray, np.ndarray]:
    """Ground, dark below objects, and sky: colours [h, w, 3] float32 and depth [h, w] float32."""
    down = rays[..., 1]
    with np.errstate(divide="ignore"):
        depth = np.where(down > 1e-4, np.float32(GROUND - origin[1]) / down, np.float32(np.inf))
    seen = np.minimum(depth, 200)
    x, z = origin[0] + seen * rays[..., 0], origin[2] + seen
    first = rng.uniform(70, 170) + rng.uniform(-18, 18, 3)
    pattern = cv2.GaussianBlur(rng.random((PATTERN, PATTERN), np.float32), (0, 0), 1.2, borderType=cv2.BORDER_REFLECT)
    pattern = (pattern - pattern.mean()) / pattern.std()
    value = np.zeros(depth.shape, np.float32)
    for cell, strength in ((CELL, 9.0), (10 * CELL, 11.0)):
        # Far away a pixel sees many cells, whose mean is nothing.
        fade = np.clip(cell * 60 / seen, 0, 1)
        places = [(line / cell + rng.uniform(0, PATTERN)).astype(np.float32) for line in (x, z)]
        value += strength * fade * cv2.remap(pattern, *places, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    image = (first + value[..., None]).astype(np.float32)
    for thing in objects:
        image *= _shadow(x, z, thing)[..., None]
    sky = np.array([135, 170, 215]) + rng.uniform(-25, 25, 3)
    height = np.clip(-down * 4, 0, 1)[..., None]
    above = (sky * (0.75 + 0.25 * height) + 70 * (1 - height)).astype(np.float32)
    return np.where((down > 1e-4)[..., None], image, above), depth


def _shadow(x: np.ndarray, z: np.ndarray, thing: Thing) -> np.ndarray:
    """[h, w] float32 light that reaches the ground around an object, 1 where it does not matter."""
    cosine, sine = np.cos(thing.rotation), np.sin(thing.rotation)
    right, ahead = x - thing.location[0], z - thing.location[2]
    along = np.abs(cosine * right - sine * ahead) - thing.dimensions[2] / 2
    across = np.abs(sine * right + cosine * ahead) - thing.dimensions[1] / 2
    away = np.hypot(along.clip(0), across.clip(0))
    return (0.45 + 0.55 * np.clip(away / 0.5, 0, 1)).astype(np.float32)
