"""Keypoints are decoded by operators that every phone has, with the numbers that Keras finds."""

import keras
import numpy as np
import pytest
from keras import ops

from centernet_tf.points.centers import Centers
from centernet_tf.properties.keypoints.skeleton import COCO_PERSON
from centernet_tf.tasks import build_tasks
from centernet_tf.tasks.pose import Pose

interpreters = pytest.importorskip("ai_edge_litert.interpreter", reason="runs TFLite files; pip install ai-edge-litert")
pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow writes TFLite files")
GRID = (24, 16)


@pytest.mark.parametrize("flat", [False, True], ids=["cells first", "one list"])
def test_builtin_operators_find_the_same(flat, tmp_path):
    import tensorflow as tf

    centers = Centers(2, 10, flat=flat, class_names=("person", "ball"))
    tasks = build_tasks({"pose": Pose(skeleton=COCO_PERSON, classes=("person",))}, centers)
    random = np.random.default_rng(0)
    maps = {
        head.name: random.normal(8 if head.name == "size" else -1, 2, (1, *GRID, head.channels)).astype(np.float32)
        for head in tasks.heads
    }

    class Decoder(keras.Model):
        def call(self, outputs):
            return tasks.decode({name: [value] for name, value in outputs.items()})

    decoder = Decoder()
    expected = {name: ops.convert_to_numpy(values) for name, values in decoder(maps).items()}
    archive = keras.export.ExportArchive()
    archive.track(decoder)
    signature = {name: tf.TensorSpec(value.shape, tf.float32, name=name) for name, value in maps.items()}
    archive.add_endpoint("serve", decoder.call, input_signature=[signature])
    archive.write_out(str(tmp_path), verbose=False)
    converter = tf.lite.TFLiteConverter.from_saved_model(str(tmp_path))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    interpreter = interpreters.Interpreter(model_content=converter.convert())
    found = interpreter.get_signature_runner()(**maps)
    operators = {detail["op_name"] for detail in interpreter._get_ops_details()}
    assert "WHILE" not in operators and not any(name.startswith("Flex") for name in operators), operators
    assert set(found) == set(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-4, atol=1e-4, err_msg=name)
    assert 0.02 < (expected["keypoint_scores"] > 0.1001).mean() < 0.98
