"""One network on JAX: all three parts, and rows of what does not run."""

import keras
import numpy as np
import pytest

from centernet_tf.benchmark import on_device
from centernet_tf.benchmark.multiply_adds import multiply_adds
from centernet_tf.benchmark.rate import share
from centernet_tf.benchmark.trainers import card_of
from centernet_tf.errors import UsageError
from centernet_tf.model.network import build_network

jax = pytest.importorskip("jax")


@pytest.fixture(autouse=True)
def as_before(monkeypatch):
    monkeypatch.setitem(on_device.SIDES, "cpu", 32)
    yield
    keras.config.set_dtype_policy("float32")
    jax.config.update("jax_default_matmul_precision", None)


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="programs are those of Keras' JAX backend")
@pytest.mark.parametrize("part", on_device.PARTS)
def test_a_part_is_measured(part):
    (row,) = on_device.rows_of("tiny", "bfloat16", 64, [2], [part], 2)
    assert "error" not in row and row["mb"] > 0 and row["device_mb"] is None
    assert row["images_per_second"] == pytest.approx(2000 / row["ms"])
    network = build_network("tiny", card_of("tiny", 64).task_set().heads)
    products = multiply_adds(network, (64, 64, 3))
    cells = 16 * 16 * 2 * (9 * 16 * 8 + 8 * 2)  # of offset and size, computed at single cells but in "forward"
    counted = {"forward": products, "answer": products - cells, "training": 3 * (products - cells)}[part]
    assert row["share"] == pytest.approx(share(2 * counted, row["ms"], row["peak_gflops"]))
    assert {name for name in ("decode", "render") if name in row} == {
        "forward": set(),
        "answer": {"decode"},
        "training": {"render"},
    }[part]


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="programs are those of Keras' JAX backend")
def test_steps_go_on_from_each_other():
    calls, *_ = on_device.training("tiny", 64, 1)
    held = next(cell.cell_contents for cell in calls["training"].__closure__ if isinstance(cell.cell_contents, list))
    before = np.array(held[0][0][0])
    calls["training"]()
    after = np.array(held[0][0][0])
    calls["training"]()
    assert not np.array_equal(before, after) and not np.array_equal(after, np.array(held[0][0][0]))


def test_what_fails_is_told_in_its_row(monkeypatch):
    def measured(part, backbone, size, batch, precision, rounds):
        if part == "answer" and batch > 1:
            raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 9 bytes.")
        if part == "training" and batch == 1:
            raise ValueError("no such kernel")
        return {"ms": 1.0}

    monkeypatch.setattr(on_device, "_measured", measured)
    rows = list(on_device.rows_of("tiny", "float32", 64, [1, 8, 32], on_device.PARTS, 1))
    found = [(row["part"], row["batch"], row.get("error")) for row in rows]
    assert found == [
        *(("forward", batch, None) for batch in (1, 8, 32)),
        *(("answer", 1, None), ("answer", 8, "out of memory"), ("answer", 32, "out of memory")),
        *(("training", 1, "ValueError: no such kernel"), ("training", 8, None), ("training", 32, None)),
    ]
    assert jax.config.jax_default_matmul_precision == "float32"


@pytest.mark.parametrize(
    ("backbone", "size", "message"),
    [("dla", "64", "Unknown backbone 'dla'"), ("hourglass104", "64", "64 is no multiple of 128")],
)
def test_networks_that_there_are_not(backbone, size, message):
    with pytest.raises(UsageError, match=message):
        on_device.main([backbone, "float32", size, "1", "forward", "1"])
