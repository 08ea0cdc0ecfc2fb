"""Which operators run where, in a graph drawn by hand and in a file that LiteRT distributes."""

import pytest

from centernet_tf.exports.operators import operators, taken

tf = pytest.importorskip("tensorflow")


def op(inputs, outputs):
    return {"inputs": inputs, "outputs": outputs}


def test_no_part_takes_nothing():
    assert taken([op([0], [1])], []) == set()
    assert taken([], []) == set()


def test_what_lies_between_a_parts_inputs_and_outputs_is_in_it():
    """0 -> a -> 1 -> b -> 2 -> c -> 3, and d reads 1 and 3; a part has b and c, another d."""
    graph = [op([0], [1]), op([1], [2]), op([2], [3]), op([1, 3], [4])]
    assert taken(graph, [op([1], [3])]) == {1, 2}
    assert taken(graph, [op([1], [3]), op([1, 3], [4])]) == {1, 2, 3}
    assert taken(graph, [op([1], [2, 3])]) == {1, 2}  # an output that another operator of the part reads


def test_a_file(tmp_path):
    """A convolution is XNNPACK's; what counts distinct numbers is not."""
    kernel = tf.constant(1.0, shape=(3, 3, 3, 4))

    @tf.function(input_signature=[tf.TensorSpec((1, 8, 8, 3), tf.float32)])
    def graph(x):
        y = tf.nn.conv2d(x, kernel, 1, "SAME")
        return tf.unique(tf.reshape(y, [-1]))[0]

    converter = tf.lite.TFLiteConverter.from_concrete_functions([graph.get_concrete_function()])
    path = tmp_path / "graph.tflite"
    path.write_bytes(converter.convert())
    found = operators(path)
    assert found.counts["CONV_2D"] == found.xnnpack["CONV_2D"] == 1
    assert found.counts["UNIQUE"] == 1 and not found.xnnpack.get("UNIQUE")
    assert found.parts == 1
    assert found.table().title == "Operators; XNNPACK takes them in 1 part"
    assert list(found.table().columns[0].cells)[-2] == "CONV_2D"  # before the sum
