"""Graphs that run compiled and leave what they make on the device, where the next one reads it."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops


def on_device(graph: keras.Model, inputs: Any) -> Any:
    """What a graph answers, as `predict_on_batch` runs it, all of it tensors.

    `predict_on_batch` would bring them to the host, and the next call back to the device.
    """
    inputs = keras.tree.map_structure(ops.convert_to_tensor, inputs)
    if keras.backend.backend() != "jax":
        graph.make_predict_function()
        return graph.predict_function([(inputs,)])
    if not hasattr(graph, "jitted"):
        import jax

        object.__setattr__(graph, "jitted", jax.jit(graph.call))
    return graph.jitted(inputs)


def by_xla(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of tensors that XLA compiles for each shape of them; on JAX itself, for that compiles everything.

    On processors TensorFlow runs operation by operation. What a deformable convolution gathers, weighs and adds then
    goes through the memory 36 times, for 9 taps of 4 corners; XLA does it in one pass.
    """
    if keras.backend.backend() != "tensorflow":
        return function
    import tensorflow as tf

    return tf.function(function, jit_compile=True)
