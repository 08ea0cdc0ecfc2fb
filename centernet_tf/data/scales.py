"""Input sizes that change from batch to batch: multi-scale training (YOLO9000, section 2)."""

import tensorflow as tf

STEPS = 5  # sizes from the smallest to the largest, before those are joined that round to the same


def sizes_around(size: tuple[int, int], part: float, stride: int) -> tuple[tuple[int, int], ...]:
    """Heights and widths from `size` less that part of it to `size` and that part more, and the size itself.

    Args:
        size: Height and width of the input in pixels.
        part: From 0, which changes nothing, to below 1.
        stride: Sides are multiples of it.
    """
    factors = [1 + part * (2 * step / (STEPS - 1) - 1) for step in range(STEPS)]
    found = {tuple(max(stride, round(side * factor / stride) * stride) for side in size) for factor in factors}
    return tuple(sorted(found | {size}))


def size_of_batch(count: int, seed: int, epoch: tf.Tensor, batch: tf.Tensor) -> tf.Tensor:
    """Which of so many sizes a batch has: any with the same chance, the same in every run of this seed."""
    key = tf.stack([tf.cast(seed, tf.int64) + tf.cast(batch, tf.int64), tf.cast(epoch, tf.int64)])
    return tf.random.stateless_uniform([], key, maxval=count, dtype=tf.int32)
