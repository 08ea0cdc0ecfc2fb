"""The ways in which a backend runs a layer, each as a call that ends when its work has ended."""

from collections.abc import Callable
from typing import Any

import keras

MODES = {"tensorflow": ("eager", "graph", "xla"), "jax": ("eager", "jit")}


def modes() -> tuple[str, ...]:
    """Names of the ways of the backend in use."""
    return MODES[keras.backend.backend()]


def prepared(layer: keras.layers.Layer, images: Any, mode: str, backward: bool = False) -> Callable[[], Any]:
    """A call without arguments that runs a layer or model on images.

    Args:
        layer: Built, with one input.
        images: [B, H, W, C], array.
        mode: One of `modes()`.
        backward: Also find the gradients of the output's sum, by the images and by every weight.
    """
    make = _jax if keras.backend.backend() == "jax" else _tensorflow
    return make(layer, keras.ops.convert_to_tensor(images), mode, backward)


def compiled(function: Callable[..., Any], *given: Any) -> Callable[[], Any]:
    """A call without arguments that runs a function of tensors as a whole: in TensorFlow's graph, or by XLA on JAX."""
    if keras.backend.backend() == "jax":
        import jax

        whole = jax.jit(function)
        return lambda: jax.block_until_ready(whole(*given))
    import tensorflow as tf

    graph = tf.function(function)
    return lambda: [tensor.numpy() for tensor in tf.nest.flatten(graph(*given)) if tf.is_tensor(tensor)]


def gradient(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that gives the gradients of a scalar one by its first argument, a tensor or a structure of them."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.grad(function)
    import tensorflow as tf

    def by_first(first: Any, *rest: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(tf.nest.flatten(first))
            cost = function(first, *rest)
        return tape.gradient(cost, tf.nest.flatten(first))

    return by_first


def _tensorflow(layer: keras.layers.Layer, images: Any, mode: str, backward: bool) -> Callable[[], Any]:
    import tensorflow as tf

    def forward(images: Any) -> Any:
        return layer(images, training=False)

    def both(images: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(images)
            cost = tf.reduce_sum(forward(images))
        return tape.gradient(cost, [images, *layer.trainable_weights])

    function = both if backward else forward
    if mode != "eager":
        function = tf.function(function, jit_compile=mode == "xla")
    return lambda: [tensor.numpy() for tensor in tf.nest.flatten(function(images))]


def _jax(layer: keras.layers.Layer, images: Any, mode: str, backward: bool) -> Callable[[], Any]:
    import jax

    trainable = [weight.value for weight in layer.trainable_variables]
    fixed = [weight.value for weight in layer.non_trainable_variables]

    def forward(trainable: Any, images: Any) -> Any:
        return layer.stateless_call(trainable, fixed, images, training=False)[0]

    function = jax.grad(lambda *given: forward(*given).sum(), (0, 1)) if backward else forward
    if mode == "jit":
        function = jax.jit(function)
    return lambda: jax.block_until_ready(function(trainable, images))
