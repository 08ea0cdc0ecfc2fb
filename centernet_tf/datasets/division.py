"""One annotated data set divided into two, by a hash of each image's name.

Whether an image is for validation depends on its own name, the seed and the share alone: more images move none of those
that were there, another machine or another order divides alike, and a larger share keeps all that a smaller one had.
What shows nearly the same stays together: the frames of a video, and the copies that Roboflow makes of an image before
its export, a_jpg.rf.<hash>.jpg.
"""

import hashlib
import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from centernet_tf.datasets.items import Item, Split
from centernet_tf.errors import UsageError

TRAIN, VALIDATION = "train", "val"

_COPY = re.compile(r"\.rf\.[0-9A-Za-z]+(?=\.\w+$)")


@dataclass(frozen=True)
class Division:
    """A data set in two parts.

    Attributes:
        parts: "train" and "val", of the same classes and properties.
        told: A line for people on how many images are in each.
    """

    parts: dict[str, Split]
    told: str


def divide(data: Split, share: float, seed: int = 0) -> Division:
    """Divides a data set by images, or by videos where images are frames of one.

    Args:
        data: Its items are read through once here, and once for each part.
        share: Fraction of the images, or videos, that validation gets, between 0 and 1; which they are is up to chance,
            so that few of them may come to a somewhat different fraction.
        seed: Another gives another choice.

    Raises:
        UsageError: The share is not between 0 and 1, or one of the parts would be empty.
    """
    if not 0 < share < 1:
        raise UsageError(f"validation is {share:g}; expected a fraction of the images between 0 and 1, such as 0.2.")
    groups = [_group(item) for item in data.items]
    chosen = {group: position(group[1], seed) < share for group in set(groups)}
    sides = [chosen[group] for group in groups]
    told = _told(groups, sides, seed)
    if sides and all(side == sides[0] for side in sides):
        empty = TRAIN if sides[0] else VALIDATION
        raise UsageError(f"{told} There must be some in {empty}: give another share than {share:g}, or another seed.")
    chosen_of = {TRAIN: [not side for side in sides], VALIDATION: sides}
    return Division({name: data._replace(items=Part(data.items, own)) for name, own in chosen_of.items()}, told)


def position(name: str, seed: int) -> float:
    """Where in 0..1 a name stands; those below a share are in validation."""
    digest = hashlib.sha256(f"{seed}/{name}".encode("utf-8", "backslashreplace")).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


@dataclass(frozen=True)
class Part:
    """Those of a data set's items that are chosen, read anew by each loop.

    Attributes:
        items: All.
        chosen: [number of items] Whether each belongs to the part.
    """

    items: Iterable[Item]
    chosen: list[bool]

    def __len__(self) -> int:
        return sum(self.chosen)

    def __iter__(self) -> Iterator[Item]:
        return itertools.compress(self.items, self.chosen)


def _group(item: Item) -> tuple[bool, str]:
    """What an image stays together with: whether that is a video, and its name."""
    return (True, item.video) if item.video else (False, _COPY.sub("", item.filename))


def _told(groups: list[tuple[bool, str]], sides: list[bool], seed: int) -> str:
    videos = {group for group in groups if group[0]}
    held = {group for group, side in zip(groups, sides) if side and group[0]}
    frames = f", {len(videos) - len(held)} and {len(held)} of {len(videos)} videos" if videos else ""
    train = len(sides) - sum(sides)
    return f"Of {len(sides)} images {train} are for {TRAIN}, {sum(sides)} for {VALIDATION}{frames}, by seed {seed}."
