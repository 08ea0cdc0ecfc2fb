"""Everything that a served model finds arrives: each property's answers, with what images need beside their pixels."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from centernet_tf.detector.detector import Detector
from centernet_tf.errors import UsageError
from centernet_tf.exports.answers import NAMES, all_answers, answers_of
from centernet_tf.geometry.camera import DEFAULT_CAMERA
from centernet_tf.serving import load
from centernet_tf.serving.client import GrpcClient, RestClient, as_detections

OTHER = np.float32([[90, 0, 40, -30], [0, 100, 35, 4], [0, 0, 1, 0.2]])
THRESHOLDS = {"pose": 0.4, "box3d": 0.4, "hoi": 0.1}  # the score of a pair is a product of three
GIVEN = {"camera": [DEFAULT_CAMERA, OTHER]}  # values of each extra for two images


def png(image) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "png")
    return buffer.getvalue()


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (60, 130, 3), np.uint8)


@pytest.fixture
def connect(signatures, rest, grpc_server):
    """A function (kind, **options) that yields a client of each kind on a server of that model."""

    def clients(kind, **options):
        with rest(signatures(kind)) as server, grpc_server(signatures(kind)) as address:
            yield RestClient(f"http://127.0.0.1:{server.server_port}", "spots", ("red", "green"), **options)
            yield GrpcClient(address, "spots", ("red", "green"), **options)

    return clients


def assert_same(ours, theirs):
    assert set(ours.fields) == {answer.field for answer in all_answers() if answer.field in theirs.fields}
    for name, values in ours.fields.items():
        np.testing.assert_allclose(values, theirs.fields[name], rtol=1e-3, atol=0.01, err_msg=name)
    for name, value in theirs.extras.items():
        np.testing.assert_array_equal(ours.extras[name], value)
    assert (ours.pairs is None) == (theirs.pairs is None)
    if theirs.pairs is not None:
        np.testing.assert_array_equal(ours.pairs.rows, theirs.pairs.rows)
        np.testing.assert_array_equal(ours.pairs.verbs, theirs.pairs.verbs)
        np.testing.assert_allclose(ours.pairs.scores, theirs.pairs.scores, rtol=1e-3)


@pytest.mark.parametrize("kind", ["box3d", "hoi", pytest.param("pose", marks=pytest.mark.long)])
def test_all_that_the_detector_finds_arrives(kind, model, connect, image):
    network, card = model(kind)
    detector = Detector(network, card)
    extras = {extra.name: GIVEN[extra.name] for extra in detector.extras}
    expected = detector([image] * 2, threshold=THRESHOLDS[kind], **extras)
    assert all(map(len, expected)) and answers_of(detector.tasks.finds)
    paired = any(find.level == "pair" for find in detector.tasks.finds)
    assert not paired or (expected[0].pairs.rows >= 0).all(axis=1).any()
    for client in connect(kind, properties=detector.properties):
        found = client.predict([png(image)] * 2, threshold=THRESHOLDS[kind], **extras)
        for ours, theirs in zip(found, expected):
            assert ours.properties == theirs.properties == detector.properties
            assert_same(ours, theirs)
            assert ours.draw(image).shape[:2] == image.shape[:2]
        # One value for all, in plain lists.
        plain = {name: np.asarray(values[1]).tolist() for name, values in extras.items()}
        (one,) = client.predict([png(image)], threshold=THRESHOLDS[kind], **plain)
        assert_same(one, expected[1])


THREE = dict(zip(NAMES, (np.tile([0.1, 0.2, 0.3, 0.4], (3, 1)), np.array([1, 2, 1]), np.array([0.9, 0.8, 0.1]))))
OF_OBJECTS = [answer for answer in all_answers() if answer.level == "object"]


@pytest.mark.parametrize("answer", OF_OBJECTS, ids=lambda answer: answer.name)
def test_every_answer_of_the_table_is_read(answer):
    answers = dict(THREE)
    answers[answer.name] = np.random.default_rng(0).random((3, 5, 4 if answer.kind == "boxes" else 2))
    found = as_detections(answers, (200, 100), ("a", "b"), threshold=0.3)
    expected = answers[answer.name][:2]
    if answer.kind == "points":
        expected = expected[..., ::-1] * [200, 100]
    if answer.kind == "boxes":
        expected = expected[..., [1, 0, 3, 2]] * [200, 100, 200, 100]
    assert set(found.fields) == {answer.field}
    np.testing.assert_allclose(found.fields[answer.field], expected)
    np.testing.assert_allclose(found.boxes, [[40, 10, 80, 30]] * 2)
    assert found.classes.tolist() == [0, 1]


def test_pairs_of_told_objects_are_read():
    told = {"subjects": [0, 1, 0, 1], "objects": [1, -1, 2, 0], "verbs": [3, 4, 5, 6], "scores": [0.9, 0.8, 0.7, 0.1]}
    answers = {**THREE, **{f"interaction_{name}": np.array(values) for name, values in told.items()}}
    found = as_detections(answers, (200, 100), ("a", "b"), threshold=0.3)
    assert found.pairs.rows.tolist() == [[0, 1], [1, -1]]  # The third object is not told, the last pair is unsure.
    assert found.pairs.verbs.tolist() == [3, 4]
    np.testing.assert_allclose(found.pairs.scores, [0.9, 0.8])
    assert not found.fields


def test_values_that_do_not_fit_are_not_sent(connect, image):
    for client in connect("box3d"):
        client.ask = None
        with pytest.raises(UsageError, match="1 values of camera for 2 images"):
            client.predict([png(image)] * 2, camera=[OTHER])
        with pytest.raises(ValueError, match=r"camera has shape \(2, 4\), expected \(3, 4\)"):
            client.predict([png(image)], camera=OTHER[:2])
        with pytest.raises(ValueError, match="expected 3x4 numbers"):
            client.predict([png(image)], camera=OTHER * 0)
        with pytest.raises(UsageError, match="3 values of lens for 2 images"):
            client.predict([png(image)] * 2, lens=[1, 2, 3])


def test_load_with_a_camera(signatures, rest, image, tmp_path, capsys):
    (tmp_path / "a.png").write_bytes(png(image))
    (tmp_path / "camera.yaml").write_text(f"camera: {OTHER.tolist()}")
    with rest(signatures("box3d")) as server:
        asked = [f"http://127.0.0.1:{server.server_port}", "spots", str(tmp_path), "--requests=6", "--wrong=3"]
        assert load.main([*asked, f"--camera={tmp_path / 'camera.yaml'}"]) == 0
        summary = json.loads(capsys.readouterr().out)
        assert (summary["answered"], summary["refused"]) == (4, 2)
        with pytest.raises(SystemExit):
            load.main(asked)
        assert "camera" in capsys.readouterr().err


def test_what_no_task_reads_from_a_file(tmp_path):
    with pytest.raises(UsageError, match=r"No task takes lens of each image from a file\. Leave --lens out"):
        load.read_extra("lens", tmp_path)
    with pytest.raises(UsageError, match="no such file"):
        load.read_extra("camera", tmp_path / "gone.yaml")
