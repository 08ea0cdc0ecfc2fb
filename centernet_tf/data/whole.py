"""Which windows of frames are trained on, where a task wants whole ones: known before any is, from one look at all."""

import collections
import functools
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from centernet_tf.data.damage import reading
from centernet_tf.data.dataset import Dataset
from centernet_tf.data.overall import images
from centernet_tf.errors import UsageError
from centernet_tf.points.task import Clip, Input
from centernet_tf.properties.metric import ImageKey
from centernet_tf.properties.property import Property, Rows

Whole = Callable[[Mapping[int, Rows]], bool]
Flags = Mapping[str, np.ndarray] | None  # of `whole_windows`; None where every record makes a sample


def seen_frames(inputs: Mapping[str, Input]) -> tuple[int, ...]:
    """The frames that a whole window has, by number from the present one, without pictures that follow a frame."""
    return tuple(sorted({0, *(frame for one in inputs.values() if one.draw is None for frame in one.frames)}))


def whole_windows(
    dataset: Dataset, properties: Sequence[Property], clip: Clip, frames: tuple[int, ...]
) -> dict[str, np.ndarray]:
    """Which records of each shard are the present frame of a whole window.

    Args:
        dataset: Records; they are read once in a process, all but their images.
        properties: Of the records.
        clip: Whose `whole` is asked.
        frames: Of a window, by number from the present one; all must be there.

    Returns:
        {path of a shard: [records] bool}.

    Raises:
        DataError: A record cannot be read.
    """
    names = {field.name for field in clip.reads}
    read = tuple(one for one in properties if names & {field.name for field in one.fields})
    return _look(dataset.files, dataset.classes, read, frames, clip.whole)


def samples(dataset: Dataset, flags: Flags) -> int:
    """How many samples records make: one each, or one for each whole window of `whole_windows`."""
    return dataset.images if flags is None else sum(int(one.sum()) for one in flags.values())


def steps(dataset: Dataset, flags: Flags, inputs: Mapping[str, Input], batch: int) -> int:
    """How many whole batches of samples an epoch has.

    Raises:
        UsageError: None.
    """
    count = samples(dataset, flags)
    if count >= batch:
        return count // batch
    what, hint = "images", ""
    if flags is not None:
        what = "whole windows"
        hint = (
            f" A whole window is {len(seen_frames(inputs))} frames in a row of one video, and whoever is in one of "
            "them is in all, with one identity and one class."
        )
    raise UsageError(
        f"{dataset.directory}: {count} {what} do not fill one batch of {batch}. "
        f"Set train.batch_size to {max(count, 1)} or less, or add images.{hint}"
    )


@functools.lru_cache(maxsize=8)
def _look(
    files: tuple[Any, ...],
    classes: tuple[str, ...],
    properties: tuple[Property, ...],
    frames: tuple[int, ...],
    whole: Whole,
) -> dict[str, np.ndarray]:
    with reading(files[0].place.parent):
        return {
            str(shard.path): np.fromiter(_each(images([shard], classes, properties), frames, whole), bool)
            for shard in files
        }


def _each(records: Iterator[tuple[ImageKey, Rows]], offsets: Sequence[int], whole: Whole) -> Iterator[bool]:
    """Of every record, in order."""
    before, after = max(0, -min(offsets)), max(0, max(offsets))
    nobody = [None]
    held: collections.deque[Any] = collections.deque(nobody * (before + after + 1), maxlen=before + after + 1)
    for number, one in enumerate(itertools.chain(records, nobody * after)):
        held.append(one)
        if number >= after:
            yield _is_whole(held[before], list(held), before, offsets, whole)


def _is_whole(
    present: tuple[ImageKey, Rows], held: list[Any], place: int, offsets: Sequence[int], whole: Whole
) -> bool:
    key, frames = present[0], {}
    for offset in offsets:
        other = held[place + offset]
        if other is None or (offset and (not key.video or other[0].video != key.video)):
            return False
        if other[0].frame != key.frame + offset:
            return False
        frames[offset] = other[1]
    return whole(frames)


def only_whole(windows: tf.data.Dataset, path: tf.Tensor, flags: Mapping[str, np.ndarray]) -> tf.data.Dataset:
    """Of windows over the records of one shard those that count.

    Args:
        windows: One for each record of the shard, in order.
        path: [] string, the shard.
        flags: As of `whole_windows`.
    """
    starts = np.cumsum([0, *map(len, flags.values())])[:-1]
    start = tf.reduce_sum(tf.where(tf.equal(list(flags), path), starts, 0))
    kept = tf.constant(np.concatenate([*flags.values(), [False]]))
    numbered = windows.enumerate().filter(lambda number, _: kept[start + number])
    return numbered.map(lambda _, window: window)
