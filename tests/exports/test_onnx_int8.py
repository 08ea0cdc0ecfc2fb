"""ONNX files in eight bits: trunk and heads are, and scores, coordinates and inputs beside the image are not."""

import json

import keras
import numpy as np
import pytest

from centernet_tf.detector.detector import Detector
from centernet_tf.errors import UsageError

if keras.backend.backend() != "tensorflow":
    pytest.skip("models are exported on TensorFlow", allow_module_level=True)

pytest.importorskip("onnxruntime", reason="running ONNX files needs the extra [onnx]")
pytest.importorskip("tf2onnx", reason="writing ONNX files needs the extra [onnx]")

from centernet_tf.datasets.items import Item
from centernet_tf.datasets.writer import write_records
from centernet_tf.exports.answers import BOXES, SCORES
from centernet_tf.exports.formats import write_export
from centernet_tf.exports.onnx import export_onnx
from centernet_tf.exports.runners import KerasRunner, open_runner
from centernet_tf.model.file import save_model

OTHER = np.float32([[90, 0, 40, -30], [0, 100, 35, 4], [0, 0, 1, 0.2]])


def test_scores_are_near_and_not_rounded(model, exported, blocks, tmp_path):
    """Scores of 256 steps tie."""
    path = exported("pose", "onnx", quantize="int8")
    reference, runner = KerasRunner(tmp_path, Detector(*model("pose"))), open_runner(path)
    for seed in range(3):
        expected, found = reference(blocks(seed=seed)), runner(blocks(seed=seed))
        assert len(np.unique(found.scores)) == len(found.scores)
        np.testing.assert_allclose(found.scores, expected.scores, atol=0.05)
        assert np.abs(found.scores - expected.scores).max() > 1e-5, "of float32"


@pytest.mark.long
def test_positions_and_heads_stay_in_float(exported):
    import onnx

    graph = onnx.load(exported("deformable", "onnx", quantize="int8")).graph
    made_float = {output for node in graph.node if node.op_type == "DequantizeLinear" for output in node.output}
    eight = [made_float.issuperset(node.input[:2]) for node in graph.node if node.op_type == "Conv"]
    # Colours, stem and shared; two predict positions and three are the last.
    assert eight.count(True) == 3 and eight.count(False) == 5
    makers = {output: node for node in graph.node for output in node.output}
    for node in graph.node:
        if node.op_type in ("Floor", "TopK", "Sigmoid"):
            assert makers[node.input[0]].op_type != "DequantizeLinear", node.op_type
    assert {one.type.tensor_type.elem_type for one in graph.output} == {onnx.TensorProto.FLOAT}


@pytest.mark.long
def test_any_batch_and_size(exported, blocks):
    """Sides of images are coordinates too, and have no range: what is larger than in calibration stays so."""
    runner, reference = (open_runner(exported("pose", "onnx", **options)) for options in ({"quantize": "int8"}, {}))
    images = np.float32([blocks((160, 224), seed) for seed in range(2)])
    both, first, second = (runner.run(one, {}) for one in (images, images[:1], images[1:]))
    expected = reference.run(images, {})
    np.testing.assert_allclose(both[SCORES], np.concatenate([first[SCORES], second[SCORES]]), atol=1e-5)
    np.testing.assert_allclose(both[SCORES], expected[SCORES], atol=0.05)
    for found, boxes in zip(both[BOXES], expected[BOXES]):
        near = np.abs(found[:, None] - boxes[None]).max(axis=-1).min(axis=1)
        assert np.median(near) < 0.01


@pytest.mark.long
def test_a_camera_is_not_rounded(model, exported, blocks, tmp_path):
    runner = open_runner(exported("box3d", "onnx", quantize="int8"))
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
def test_records_calibrate_and_the_report_compares(model, blocks, tmp_path):
    network, card = model("detect")
    save_model(tmp_path / "a.keras", network, card)
    box = np.float32([[8, 8, 40, 40]])
    items = [Item(str(seed), seed, blocks(seed=seed), f"{seed}.png", box, [0]) for seed in range(3)]
    write_records(items, directory=tmp_path / "records", name="blocks", split="val", classes=card.classes)
    options = {"quantize": "int8"}
    exported = write_export(tmp_path / "a.keras", tmp_path / "a.onnx", "onnx", str(tmp_path / "records"), options)
    assert [table.row_count for table in exported.tables] == [5]
    (report,) = json.loads((tmp_path / "a.parity.json").read_text())
    assert report["images"] == 3 and report["objects"] and 1e-5 < report["scores"] < 0.1
    assert set(report["ap"]) == {"AP"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"quantize": "float16"}, "'float16'; expected none or int8"),
        ({"quantize": "int8"}, "int8 needs images"),
        ({"quantize": "int8", "images": []}, "none among those given"),
        ({"images": []}, "uses no images"),
    ],
)
def test_what_cannot_be_written_says_why(options, said, spot_model, tmp_path):
    with pytest.raises(UsageError, match=said):
        export_onnx(spot_model, tmp_path / "a.onnx", **options)
    assert not list(tmp_path.iterdir())
