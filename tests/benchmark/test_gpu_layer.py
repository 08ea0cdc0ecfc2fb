"""The deformable layer beside torchvision's operator: the same numbers, and why one of them does not run."""

import json
import sys
import types

import keras
import numpy as np
import pytest

from centernet_tf.benchmark import deformable, gpu_layer

SHAPE = (2, 5, 6, 4, 3)


@pytest.fixture
def torchvision(monkeypatch):
    """Stands in for the operator where torchvision is not there: bilinear samples, zeros outside."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")

    def deform_conv2d(images, offsets, weight, bias, padding, mask):
        assert padding == 1
        _, _, height, width = images.shape
        total = bias[:, None, None]
        for tap in range(9):
            y = torch.arange(height)[:, None] + tap // 3 - 1 + offsets[:, 2 * tap]
            x = torch.arange(width) + tap % 3 - 1 + offsets[:, 2 * tap + 1]
            places = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], -1)
            sample = torch.nn.functional.grid_sample(images, places, align_corners=False) * mask[:, tap, None]
            total = total + torch.einsum("bchw,fc->bfhw", sample, weight[:, :, tap // 3, tap % 3])
        return total

    operators = types.SimpleNamespace(deform_conv2d=deform_conv2d)
    monkeypatch.setitem(sys.modules, "torchvision", types.SimpleNamespace(ops=operators))
    monkeypatch.setitem(sys.modules, "torchvision.ops", operators)


def test_both_compute_the_same(torchvision):
    images, layers = deformable.layers_of(SHAPE)
    for layer in layers.values():
        answer = keras.ops.convert_to_numpy(layer(images))
        other = deformable.torch_call(images, layer.get_weights(), False)().numpy().transpose(0, 2, 3, 1)
        np.testing.assert_allclose(answer, other, atol=1e-5)
        slopes = deformable.torch_call(images, layer.get_weights(), True)()
        assert len(slopes) == 1 + len(layer.weights) and all(bool(slope.isfinite().all()) for slope in slopes)


def test_torchvision_is_timed(torchvision):
    found = gpu_layer.by_torchvision(SHAPE, 1)
    assert found["on"] == "cpu" and all(found[way]["ms"] > 0 and found[way]["mb"] is None for way in gpu_layer.WAYS)


def test_without_torchvision_there_is_a_reason(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "torchvision.ops", None)
    gpu_layer.main(["torchvision", "1", *map(str, SHAPE)])
    assert json.loads(capsys.readouterr().out) == {"error": "not installed, or not for this PyTorch"}


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="the layer of Keras' JAX backend")
def test_the_layer_is_timed(capsys):
    gpu_layer.main(["jax", "1", *map(str, SHAPE)])
    found = json.loads(capsys.readouterr().out)
    assert found["on"] == "cpu" and all(min(found[way].values()) > 0 for way in gpu_layer.WAYS)
    import jax

    jax.config.update("jax_default_matmul_precision", None)


def test_one_that_fails_says_why(monkeypatch, capsys):
    def fails(shape, rounds):
        raise RuntimeError("CUDA out of memory")

    monkeypatch.setattr(gpu_layer, "by_jax", fails)
    gpu_layer.main(["jax", "1", *map(str, SHAPE)])
    assert json.loads(capsys.readouterr().out) == {"error": "out of memory"}
