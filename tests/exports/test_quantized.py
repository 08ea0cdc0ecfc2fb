"""Eight bits leave alone what they would destroy: scores, coordinates, and inputs beside the image."""

import keras
import numpy as np
import pytest

from centernet_tf.detector.detector import Detector

if keras.backend.backend() != "tensorflow":
    pytest.skip("models are exported on TensorFlow", allow_module_level=True)

from centernet_tf.exports.runners import KerasRunner, open_runner

OTHER = np.float32([[90, 0, 40, -30], [0, 100, 35, 4], [0, 0, 1, 0.2]])


def test_scores_and_coordinates_are_not_rounded(model, exported, blocks, tmp_path):
    """Scores of 256 steps tie, and beside coordinates they would have the steps of these."""
    from tensorflow.lite.tools import flatbuffer_utils

    path = exported("pose", "tflite", quantize="int8")
    parsed = flatbuffer_utils.read_model_from_bytearray(bytearray(path.read_bytes()))
    kinds = [flatbuffer_utils.opcode_to_name(parsed, one.opcodeIndex) for one in parsed.subgraphs[0].operators]
    assert kinds.count("QUANTIZE") == 1, "of the image alone"
    reference, runner = KerasRunner(tmp_path, Detector(*model("pose"))), open_runner(path)
    for seed in range(3):
        expected, found = reference(blocks(seed=seed)), runner(blocks(seed=seed))
        assert len(np.unique(found.scores)) == len(found.scores)
        np.testing.assert_allclose(found.scores, expected.scores, atol=0.05)


@pytest.mark.long
@pytest.mark.slow
def test_a_camera_is_not_rounded(model, exported, blocks, tmp_path):
    runner = open_runner(exported("box3d", "tflite", quantize="int8"))
    reference = KerasRunner(tmp_path, Detector(*model("box3d")))
    for extras in ({}, {"camera": OTHER}):
        found, expected = runner(blocks(seed=0), **extras), reference(blocks(seed=0), **extras)
        near = np.abs(found.boxes[:, None] - expected.boxes[None, :]).sum(axis=-1)
        same = near.min(axis=1) < 3
        assert same.any()
        places = expected.fields["locations"][near.argmin(axis=1)][same]
        wrong = np.abs(found.fields["locations"][same] - places) / np.abs(places[:, 2:])
        assert np.median(wrong) < 0.05


@pytest.mark.long
def test_a_file_of_few_objects_finds_their_keypoints_among_all(model, blocks, tmp_path):
    pytest.importorskip("ai_edge_litert.interpreter", reason="pip install ai-edge-litert")
    from centernet_tf.exports.parity import LIMITS, compare
    from centernet_tf.exports.tflite import export_tflite

    network, card = model("pose")
    card = card.model_copy(update={"max_objects": 150})
    runner = open_runner(export_tflite((network, card), tmp_path / "model.tflite", max_objects=3))
    reference = KerasRunner(tmp_path, Detector(network, card), runner.window)
    images = [blocks(seed=seed) for seed in range(3)]
    parity = compare("it", [(reference(image), runner(image)) for image in images], limit=3)
    assert parity.objects and "keypoints" in parity.fields and not parity.crossed(LIMITS["float32"]), parity
