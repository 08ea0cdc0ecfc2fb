"""Arrays come back from JSON as they were."""

import json

import numpy as np
import pytest

from centernet_tf.host.arrays import array_from_dict, array_to_dict


@pytest.mark.parametrize(
    "values",
    [
        np.zeros((0, 4), np.float32),
        np.float32([[0.1, 1e-30], [3.4e38, -0.0]]),
        np.float64([1 / 3]),
        np.int64([2**62, -1]),
        np.array([True, False]),
    ],
)
def test_arrays_come_back(values):
    told = array_from_dict(json.loads(json.dumps(array_to_dict(values))))
    assert (told.dtype, told.shape) == (values.dtype, values.shape)
    np.testing.assert_array_equal(told, values)


def test_short_floats():
    assert array_to_dict(np.float32([0.1]))["values"] == [0.1]
