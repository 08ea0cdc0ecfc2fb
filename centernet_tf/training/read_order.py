"""Keeps TensorFlow from updating a variable before another's gradient has read it.

Where the loss holds a product of two variables, such as learnt weights of its terms, the gradient of each is the value
of the other. Without XLA, TensorFlow 2.21 then takes the new value instead in up to half of all steps: the dependency
optimisation of its graphs drops the edge from the read to the update. A network's own weights are safe, for every loss
here reads what the network answered before it has a gradient, and that takes all of them.
`tests/training/test_read_order.py` compares steps with those worked out by hand.
"""

import keras


def keep() -> None:
    """Switches the dependency optimisation off, for this process; what is compiled before is not changed."""
    if keras.backend.backend() != "tensorflow":
        return
    import tensorflow as tf

    tf.config.optimizer.set_experimental_options({"dependency_optimization": False})
