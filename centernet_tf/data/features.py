"""Lists of numbers and texts as features of tf.train.Example, and lists of objects back again."""

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf


def texts(values: Sequence[bytes]) -> tf.train.Feature:
    """A list of bytes."""
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))


def integers(values: Sequence[int]) -> tf.train.Feature:
    """A list of int64."""
    return tf.train.Feature(int64_list=tf.train.Int64List(value=np.asarray(values, np.int64)))


def floats(values: Sequence[float]) -> tf.train.Feature:
    """A list of float32."""
    return tf.train.Feature(float_list=tf.train.FloatList(value=np.asarray(values, np.float32)))


def sequences(lists: Mapping[str, tf.DType]) -> dict[str, tf.io.FixedLenSequenceFeature]:
    """How to parse lists of any length, of which each may be missing."""
    return {key: tf.io.FixedLenSequenceFeature([], dtype, allow_missing=True) for key, dtype in lists.items()}


def column(values: Mapping[str, tf.Tensor], key: str, default: tf.Tensor) -> tf.Tensor:
    """Values of the objects under image/object/`key`; the default [N] where the key is missing.

    Raises:
        tf.errors.InvalidArgumentError: There are values, but not N.
    """
    given = values[f"image/object/{key}"]
    filled = tf.concat([given, default[: tf.where(tf.size(given) == 0, tf.size(default), 0)]], axis=0)
    check = tf.debugging.assert_equal(
        tf.size(filled), tf.size(default), f"image/object/{key} holds another number of objects than the boxes."
    )
    with tf.control_dependencies([check] if check is not None else []):
        return tf.identity(filled)
