"""Shares of the rate at which this machine multiplies matrices."""

import numpy as np
import pytest

from centernet_tf.benchmark import rate
from centernet_tf.benchmark.modes import compiled


@pytest.mark.parametrize(
    ("multiply_adds", "milliseconds", "rate_", "expected"),
    [
        (0, 1.0, 100.0, 0.0),
        (1e9, 20.0, 100.0, 1.0),  # 2 GFLOP in 20 ms are 100 GFLOP/s.
        (1e9, 40.0, 100.0, 0.5),
        (3e9, 40.0, 100.0, 1.5),
        (1e6, 0.1, 40.0, 0.5),
    ],
)
def test_share(multiply_adds, milliseconds, rate_, expected):
    assert rate.share(multiply_adds, milliseconds, rate_) == pytest.approx(expected)


def test_a_product_of_matrices_reaches_its_own_rate():
    assert rate.matrix_rate(20.0, 1000) == pytest.approx(100.0)
    assert rate.share(1000**3, 20.0, rate.matrix_rate(20.0, 1000)) == pytest.approx(1.0)


@pytest.mark.parametrize(("dtype", "close"), [("float32", 1e-4), ("bfloat16", 0.3)])
def test_the_product_is_that_of_two_matrices(dtype, close, monkeypatch):
    seen = []
    monkeypatch.setattr(rate, "compiled", lambda function, *given: seen.append(given) or compiled(function, *given))
    (made,) = np.ravel(rate.product(dtype, 32)()).reshape(-1, 32, 32)
    first, second = (np.asarray(value).astype(np.float64) for value in seen[0])
    assert {str(np.asarray(value).dtype) for value in (*seen[0], made)} == {dtype}
    np.testing.assert_allclose(np.float64(made), first @ second, atol=close)
    assert not np.array_equal(first, second)
