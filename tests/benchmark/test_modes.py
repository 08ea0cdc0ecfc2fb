"""Functions run as a whole, and their gradients, on the backend in use."""

import numpy as np
from keras import ops

from centernet_tf.benchmark import modes


def test_a_function_of_tensors_runs_as_a_whole():
    run = modes.compiled(lambda a, b: {"sum": a["x"] + b, "nothing": None}, {"x": ops.ones((2, 3))}, ops.ones((2, 3)))
    found = run()
    (values,) = found if isinstance(found, list) else [found["sum"]]
    np.testing.assert_array_equal(np.asarray(values), np.full((2, 3), 2.0))


def test_gradients_by_the_first_argument():
    slope = modes.gradient(lambda maps, factor: ops.sum(maps["a"] ** 2 * factor) + ops.sum(maps["b"]))
    found = slope({"a": ops.convert_to_tensor([1.0, 2.0]), "b": ops.ones(3)}, ops.convert_to_tensor(3.0))
    a, b = found if isinstance(found, list) else (found["a"], found["b"])
    np.testing.assert_allclose(np.asarray(a), [6.0, 12.0])
    np.testing.assert_allclose(np.asarray(b), np.ones(3))
