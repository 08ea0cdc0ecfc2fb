"""Programs of XLA on JAX, and the memory that they say they take."""

import numpy as np
import pytest

from centernet_tf.benchmark import programs

jax = pytest.importorskip("jax")

NUMBERS = 256 * 256
MEGABYTES = NUMBERS * 4 / 1e6


def test_a_program_answers_and_counts_arguments_and_results():
    values = jax.numpy.ones((256, 256))
    made = programs.program(lambda a, b: {"sum": a + b["x"]}, (values, {"x": values}))
    np.testing.assert_array_equal(np.asarray(made(values, {"x": values})["sum"]), np.full((256, 256), 2.0))
    assert made.megabytes == pytest.approx(3 * MEGABYTES, rel=0.1)


def test_what_is_given_away_counts_once():
    values = jax.numpy.ones((256, 256))
    made = programs.program(lambda a: a * 2, (values,), donated=(0,))
    assert made.megabytes == pytest.approx(MEGABYTES, rel=0.1)
    assert float(made(values)[0, 0]) == 2.0 and values.is_deleted()


def test_memory_nobody_counts_is_unknown():
    assert np.isnan(programs._megabytes(None))


@pytest.mark.parametrize(
    ("told", "expected"), [(None, None), ({}, None), ({"bytes_in_use": 1}, None), ({"peak_bytes_in_use": 3e6}, 3.0)]
)
def test_what_the_device_counts(told, expected, monkeypatch):
    class Device:
        device_kind = "NVIDIA H100"

        def memory_stats(self):
            return told

    monkeypatch.setattr(jax, "devices", lambda: [Device()])
    assert programs.device_peak() == expected
    assert programs.device_kind() == "NVIDIA H100"
