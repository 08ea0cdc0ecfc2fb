"""Records of an epoch that are mixed with others: with which, and what becomes of them, as steps of a stream.

Partners are of the same shuffled block, which is in memory already, so that nothing more is read. Which they are
follows from the seed, the epoch and the block: any step is reached again without those before.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from centernet_tf.data.mixed import MIXES, Mixer
from centernet_tf.data.pixels import decoded
from centernet_tf.properties.fields import ROTATED


def with_partners(block: tf.Tensor, mixes: Mapping[str, float], seed: tf.Tensor, closed: tf.Tensor) -> tf.data.Dataset:
    """Every record of a block, alone or with others of it.

    Args:
        block: [N] serialized records, shuffled.
        mixes: Fraction of the records that are mixed, by the ways of `MIXES`.
        seed: [2] int64 of this block in this epoch.
        closed: [] bool, whether all are left alone.

    Returns:
        (way [] int32, records [P] string) of each, in the order of the block: 0 and itself alone; or a way's place in
        `mixes`, from 1, and itself with as many others as that takes, with equal chance any of the block, itself too.
    """
    most = max(MIXES[name][0] for name in mixes) - 1
    counts = tf.constant([0, *(MIXES[name][0] - 1 for name in mixes)])
    length = tf.size(block, tf.int64)
    chances = tf.random.stateless_uniform([length], _seed(seed, 1))
    bounds = tf.cumsum(tf.constant(list(mixes.values()), tf.float32))
    ways = tf.searchsorted(bounds, chances, side="right") + 1
    ways = tf.where(tf.logical_or(closed, ways > len(mixes)), 0, ways)
    others = tf.random.stateless_uniform([length, most], _seed(seed, 2), 0, length, tf.int64)

    def chosen(place: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        way = ways[place]
        return way, tf.gather(block, tf.concat([[place], others[place][: counts[way]]], axis=0))

    return tf.data.Dataset.range(length).map(chosen)


def _seed(seed: tf.Tensor, use: int) -> tf.Tensor:
    """Another seed for each use, none of which is that of the shuffle."""
    return tf.random.experimental.stateless_fold_in(seed, use)


def mixed_sample(
    mixer: Mixer, name: str, records: tf.Tensor, seed: int, place: tuple[tf.Tensor, tf.Tensor]
) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
    """One sample of several records.

    Args:
        mixer: What mixes them.
        name: How, of `MIXES`.
        records: [P] string, serialized.
        seed: Of everything random.
        place: Epoch, and place in it.

    Returns:
        Inputs and rows as `pipeline.Feed` gives them, of one image.
    """
    sampler, (count, _) = mixer.sampler, MIXES[name]
    images, lists = decoded(tf.unstack(records, count), sampler.properties)
    keys = tuple(lists[0])

    def draw(epoch: int, number: int, *values: np.ndarray) -> Any:
        random = np.random.default_rng([seed, epoch, number])
        stored = [dict(zip(keys, values[start:])) for start in range(count, len(values), len(keys))]
        image, rows = mixer.draw(name, random, list(zip(values[:count], stored)))
        valid, padded = sampler.pad(rows)
        return image, sampler.augment.color(random), valid, *padded

    kinds = [mixer.dtype, tf.float32, tf.bool, *(field.dtype for field in sampler.padded)]
    values = [*place, *images, *(value for one in lists for value in one.values())]
    image, color, valid, *padded = tf.numpy_function(draw, values, kinds, stateful=False)
    rows = {one.name: tf.ensure_shape(made, sampler.shape(one)) for one, made in zip(sampler.padded, padded)}
    if ROTATED in sampler.fields:
        rows[ROTATED.name] = tf.constant(False)
    inputs = {"image": tf.ensure_shape(image, (*sampler.size, 3)), "color": tf.ensure_shape(color, (6,))}
    return inputs, {**rows, "valid": tf.ensure_shape(valid, (sampler.max_objects,))}
