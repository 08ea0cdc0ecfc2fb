"""MobileNets: what phones can run, and what a width changes."""

import collections

import keras
import numpy as np
import pytest

from centernet_tf.backbones.mobilenet import BLOCKS_V3, mobilenetv2_dla, mobilenetv2_fpn, mobilenetv3_fpn, scaled
from centernet_tf.checkpoints.mobilenet import modules, stem
from centernet_tf.checkpoints.weights import our_layout, their_shape

# What is left of the networks after conversion: convolutions with activations folded in, sums, maps doubled in size,
# 8 bits made and unmade at the ends, and the step that hands all to a faster runtime.
OPERATORS = {"CONV_2D", "DEPTHWISE_CONV_2D", "ADD", "QUANTIZE", "DEQUANTIZE", "DELEGATE"} | {
    *("EXPAND_DIMS", "RESIZE_NEAREST_NEIGHBOR", "SHAPE", "STRIDED_SLICE", "CONCATENATION", "RESHAPE")
}
SQUEEZE = {"MEAN", "MUL", "HARD_SWISH"}


@pytest.mark.parametrize(("count", "width", "expected"), [(32, 1, 32), (16, 0.1, 8), (24, 0.5, 16), (320, 1.4, 448)])
def test_scaled(count, width, expected):
    assert scaled(count, width) == expected


@pytest.mark.parametrize("build", [mobilenetv2_fpn, pytest.param(mobilenetv3_fpn, marks=pytest.mark.long)])
def test_width_changes_channels_and_nothing_else(build):
    full, half = build({"image": 3}), build({"image": 3}, width=0.5)
    assert [layer.name for layer in half.layers] == [layer.name for layer in full.layers]
    assert half.count_params() < 0.35 * full.count_params()
    assert half.output["stack1"].shape == full.output["stack1"].shape == (None, None, None, 64)


def test_blocks_of_version_3():
    network = mobilenetv3_fpn({"image": 3})
    for number, (kernel, expanded, channels, squeeze, activation, stride) in enumerate(BLOCKS_V3, start=1):
        name = f"block{number}"
        names = {layer.name for layer in network.layers if layer.name.startswith(f"{name}_")}
        layer = network.get_layer(f"{name}_depthwise")
        assert (layer.kernel_size, layer.strides) == ((kernel, kernel), (stride, stride))
        assert layer.output.shape[-1] == expanded
        assert network.get_layer(f"{name}_project_conv").filters == channels
        assert (f"{name}_squeeze_scale" in names) == squeeze
        assert (f"{name}_depthwise_{activation}") in names
    # Squeezed to a quarter, weighed by values between 0 and 1.
    assert network.get_layer("block15_squeeze_reduce").filters == 240


@pytest.mark.long
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="only TensorFlow converts to TensorFlow Lite")
@pytest.mark.parametrize(("build", "special"), [(mobilenetv2_fpn, set()), (mobilenetv3_fpn, SQUEEZE)])
def test_eight_bits_and_built_in_operators_alone(build, special, tmp_path):
    """Conversion fails where an operator has no 8 bit kernel of TensorFlow Lite's own."""
    import tensorflow as tf
    from ai_edge_litert.interpreter import Interpreter

    keras.utils.set_random_seed(0)
    network = build({"image": 3}, width=0.35)
    image = keras.Input((64, 64, 3), batch_size=1)
    keras.Model(image, network({"image": image})["stack1"]).export(tmp_path, verbose=False)
    noise = np.random.default_rng(0).normal(size=(8, 64, 64, 3)).astype("float32")
    converter = tf.lite.TFLiteConverter.from_saved_model(str(tmp_path))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([one[None]] for one in noise)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    interpreter = Interpreter(model_content=converter.convert())
    interpreter.allocate_tensors()
    counts = collections.Counter(operator["op_name"] for operator in interpreter._get_ops_details())
    assert {"CONV_2D", "DEPTHWISE_CONV_2D", "ADD"} | special <= set(counts) <= special | OPERATORS
    if special:
        swishes = [layer for layer in network.layers if layer.name.endswith("_hard_swish")]
        assert counts["HARD_SWISH"] == len(swishes)

    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], noise[:1])
    interpreter.invoke()
    found = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    expected = keras.ops.convert_to_numpy(network({"image": noise[:1]}, training=False)["stack1"])
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.95


def test_every_layer_with_weights_has_its_official_module():
    network = mobilenetv2_dla({"image": 3})
    names = modules(network.name)
    assert sorted(names) == sorted(layer.name for layer in network.layers if layer.weights)
    assert len(set(names.values())) == len(names)
    assert network.output["stack1"].shape == (None, None, None, 24)


def test_stems_are_added_behind_the_activation_of_the_image_s():
    network = mobilenetv2_dla({"image": 3, "previous": 3})
    added = network.get_layer("stem_add").input
    assert [tensor._keras_history.operation.name for tensor in added] == ["stem_image_relu", "stem_previous_norm"]
    extra = {**modules(network.name), **stem("previous", "pre_img_layer")}
    assert sorted(extra) == sorted(layer.name for layer in network.layers if layer.weights)


@pytest.mark.parametrize(
    ("shape", "path", "theirs"),
    [
        ((3, 3, 32, 1), "a/stage1_block1_depthwise/kernel", (32, 1, 3, 3)),
        ((3, 3, 8, 32), "a/stem_image_conv/kernel", (32, 8, 3, 3)),
        ((4, 4, 1, 24), "a/joint1_up1/kernel", (24, 1, 4, 4)),
        ((32,), "a/stage1_block1_depthwise_norm/gamma", (32,)),
    ],
)
def test_layouts_go_there_and_back(shape, path, theirs):
    assert their_shape(shape, path) == theirs
    tensor = np.arange(np.prod(theirs)).reshape(theirs)
    ours = our_layout(tensor, path)
    assert ours.shape == shape
    if len(shape) == 4 and path.endswith("depthwise/kernel"):
        assert ours[1, 2, 5, 0] == tensor[5, 0, 1, 2]
