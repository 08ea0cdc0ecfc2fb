"""What fits a set of images: the size of the network's input and the length of a training from scratch.

Both are advice from what was measured here and is told with its reason; a number in the settings overrules it.
"""

import dataclasses
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from centernet_tf.data.examine import read_shard
from centernet_tf.properties.property import Size

# Shorter side in pixels of the input, eight cells of the output, at which half the objects of the smallest class should
# be seen. Blood platelets of 15 and 25 pixels were found with AP50 0.65 and 0.60, of 30 with 0.85.
CLEAR = 32
NARROWEST, WIDEST = 256, 768  # Pixels.
ENLARGED = 2  # Times that an image is enlarged at most: small objects then lie cells apart, and nothing new is seen.
RARE = 0.01  # Part of all objects below which a class does not count.
USUAL = 0.95  # Part of the images that must fit into a flat input before it is one.
STEPS = 1000  # from scratch with few images, by the losses of `configs/detect_own.yaml`
FEWEST_EPOCHS = 20
# Images of a batch, and steps that an epoch should have at least: few images are learnt by many updates of few, as all
# that was measured here from scratch, with 8; 32 is the original's.
SMALLEST_BATCH, LARGEST_BATCH = 8, 32
STEPS_OF_AN_EPOCH = 200
MOST_IMAGES = 2000


@dataclasses.dataclass(frozen=True)
class Seen:
    """What was measured.

    Attributes:
        sizes: How many images there are of each width and height in pixels.
        sides: For each class, the shorter sides of its boxes over the longer side of their image.
    """

    sizes: Mapping[Size, int]
    sides: Mapping[str, np.ndarray]

    @property
    def smallest(self) -> tuple[str, float] | None:
        """The class with the smallest median, and that; None without boxes."""
        total = sum(map(len, self.sides.values()))
        medians = {name: float(np.median(one)) for name, one in self.sides.items() if len(one) > RARE * total}
        return min(medians.items(), key=lambda item: item[1]) if medians else None


def look(files: Sequence[Any], classes: Sequence[str], most: int = MOST_IMAGES) -> Seen:
    """Measures the first images of records, without decoding them; records that are none are left out.

    Args:
        files: The shards, as in `Dataset.files`.
        classes: Names of the classes.
        most: Images to look at.

    Raises:
        DataError: A shard is damaged.
    """
    sizes: Counter[Size] = Counter()
    sides: dict[str, list[np.ndarray]] = {name: [] for name in classes}
    records = (stored for shard in files for stored in read_shard(shard.path, classes))
    for stored, _ in zip(records, range(most)):
        if stored.size is None or stored.fault:
            continue
        sizes[stored.size] += 1
        rows, _ = stored.rows(stored.size, classes)
        trained = ~(rows["crowd"] | rows["ignored"])
        add_sides(sides, rows["boxes"][trained], rows["classes"][trained], classes, stored.size)
    return Seen(sizes, {name: np.concatenate([*one, np.empty(0)]) for name, one in sides.items()})


def add_sides(
    sides: Mapping[str, list[np.ndarray]], boxes: np.ndarray, labels: np.ndarray, classes: Sequence[str], size: Size
) -> None:
    """Adds the boxes [N, 4] of one image, in its pixels, to `Seen.sides` of each class; those without area are none."""
    shorter = np.minimum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]) / max(size)
    for number, name in enumerate(classes):
        own = shorter[labels == number]
        sides[name].append(own[own > 0])


def input_size(seen: Seen, stride: int) -> tuple[tuple[int, int], str]:
    """Height and width of an input that shows the smallest class clearly, and why, for people.

    The longer side of an image is fitted into the input's width, so that upright images need a square.
    """
    if not seen.sizes or seen.smallest is None:
        return (512, 512), "the records tell no sizes of images or boxes, so it is the original's"
    name, fraction = seen.smallest
    (width, height), count = max(seen.sizes.items(), key=lambda item: item[1])
    longest = max(width, height)
    wanted = min(max(CLEAR / fraction, min(NARROWEST, longest)), min(WIDEST, ENLARGED * longest))
    shape = (math.ceil(wanted * _flatness(seen.sizes) / stride) * stride, math.ceil(wanted / stride) * stride)
    pixels = fraction * shape[1]
    total = sum(seen.sizes.values())
    said = f"{count} of {total} images are {width}x{height}, and half of {name}, the smallest class, "
    return shape, said + f"have a shorter side of at least {pixels:.0f} pixels there"


def _flatness(sizes: Mapping[Size, int]) -> float:
    """Height over width of the flattest input into which nearly all images fit."""
    ratios = np.repeat([height / width for width, height in sizes], list(sizes.values()))
    return min(float(np.quantile(ratios, USUAL, method="higher")), 1.0)


def batch(images: int, devices: int = 1) -> tuple[int, str]:
    """How many images make one step, and why, for people: a multiple of the devices that share them."""
    fitting = 2 ** math.floor(math.log2(max(images / STEPS_OF_AN_EPOCH, 1)))
    wanted = min(max(fitting, SMALLEST_BATCH), LARGEST_BATCH, max(images, 1))
    size = max(round(wanted / devices), 1) * devices
    shared = f", {size // devices} on each of {devices} devices" if devices > 1 else ""
    return size, f"{images} images make {images // size} steps of an epoch{shared}; set less where memory runs out"


def epochs(images: int, batch: int) -> tuple[int, str]:
    """How long to train from scratch, and why, for people."""
    steps = max(images // batch, 1)
    count = max(math.ceil(STEPS / steps), FEWEST_EPOCHS)
    why = f"{images} images make {steps} steps of {batch}, and {count} epochs {count * steps} steps"
    return count, f"{why}; from scratch it takes about {STEPS}" if count * steps < 2 * STEPS else why
