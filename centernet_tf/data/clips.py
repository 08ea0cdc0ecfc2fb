"""Frames of a video beside each other: windows over records, still encoded, each with the neighbours it is shown with.

Records of a video follow one another in a shard, so that a window needs nothing but those that were just read. A record
of no video is its own neighbour, and where a video begins or ends its first or last frame stands for those beyond.
"""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from centernet_tf.data.example import FRAME, VIDEO

_FAR = 2**40  # further than any frame


def windows(examples: tf.data.Dataset, frames: Sequence[int], reach: int, seed: Any) -> tf.data.Dataset:
    """Every record of a shard with its neighbours.

    Args:
        examples: Serialized records, in file order.
        frames: Which frames a sample has, by number from its own, 0 among them.
        reach: Where above 0, the frames other than 0 are chosen at random: any of the video at most so many frames
            away, the present one among them. Else those of the numbers asked for, or the nearest there are.
        seed: [2] int64, for all that is random.

    Returns:
        [F] serialized records each, in the order of `frames`.
    """
    radius = reach or max(map(abs, frames))
    length = 2 * radius + 1
    keys = {
        VIDEO: tf.io.FixedLenFeature([], tf.string, ""),
        FRAME: tf.io.FixedLenFeature([], tf.int64, 0),
    }

    def place(number: tf.Tensor, example: tf.Tensor) -> tuple[tf.Tensor, ...]:
        found = tf.io.parse_single_example(example, keys)
        # A name of their own keeps single images apart.
        video = tf.where(found[VIDEO] == "", tf.strings.as_string(number), tf.strings.join(["video:", found[VIDEO]]))
        return example, video, found[FRAME]

    nobody = tf.data.Dataset.from_tensors(("", "", tf.constant(0, tf.int64))).repeat(radius)
    start = (tf.fill([length], ""), tf.fill([length], ""), tf.zeros([length], tf.int64))

    def slide(held: Any, further: Any) -> tuple[Any, Any]:
        held = tuple(tf.concat([part[1:], one[None]], axis=0) for part, one in zip(held, further))
        return held, held

    def choose(number: tf.Tensor, held: Any) -> tf.Tensor:
        serialized, videos, numbers = held
        same = tf.equal(videos, videos[radius])
        away = numbers - numbers[radius]
        places = []
        for offset in frames:
            if offset == 0:
                places.append(tf.constant(radius, tf.int64))
            elif reach:
                near = tf.where(same & (tf.abs(away) <= reach))[:, 0]
                lot = tf.random.stateless_uniform(
                    [], tf.random.experimental.stateless_fold_in(seed, number), 0, tf.shape(near)[0], tf.int32
                )
                places.append(near[lot])
            else:
                places.append(tf.argmin(tf.where(same, tf.abs(away - offset), _FAR)))
        return tf.gather(serialized, tf.stack(places))

    placed = examples.enumerate().map(place).concatenate(nobody).scan(start, slide)
    return placed.skip(radius).enumerate().map(choose)
