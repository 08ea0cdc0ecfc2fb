"""A served model that sees clips: the client carries the state, and says what `centernet track` says."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from centernet_tf.detector.detector import Detector
from centernet_tf.detector.follow import follow
from centernet_tf.errors import UsageError
from centernet_tf.exports.savedmodel import export_savedmodel
from centernet_tf.model.card import InputCard, ModelCard
from centernet_tf.model.network import build_network
from centernet_tf.serving.client import GrpcClient, RestClient, ServerError

NAMES = ("sit", "walk")


@pytest.fixture(scope="module")
def model():
    """A network of noise that sees three frames, so that answers are a frame late."""
    form = InputCard(height=32, width=48, stride=4)
    task = {"action": {"frames": 3, "min_length": 4, "link_overlap": 0.1}}
    card = ModelCard(tasks=task, backbone="tiny", classes=NAMES, max_objects=5, input=form, head_channels=8)
    tasks = card.task_set()
    network = build_network("tiny", tasks.heads, tasks.inputs, 8)
    random = np.random.default_rng(3)
    for weight in network.trainable_weights:
        weight.assign(random.normal(0, 0.3, weight.shape))
    return network, card


@pytest.fixture(scope="module")
def detector(model):
    """The model in this process, which traces it once for all videos."""
    return Detector(*model)


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    return export_savedmodel(model, tmp_path_factory.mktemp("served") / "spots")


@pytest.fixture(scope="module")
def signatures(folder):
    import tensorflow as tf

    signatures.loaded = tf.saved_model.load(str(folder))
    return signatures.loaded.signatures


# How they talk to a server is shown by the other tests of the clients.
@pytest.fixture(params=["rest", pytest.param("grpc", marks=pytest.mark.long)])
def client(request, signatures, rest, grpc_server):
    if request.param == "rest":
        with rest(signatures) as server:
            yield RestClient(f"http://127.0.0.1:{server.server_port}", "spots", NAMES)
    else:
        with grpc_server(signatures) as address:
            yield GrpcClient(address, "spots", NAMES)


def video_of(count, size=(20, 40)):
    return list(np.random.default_rng(0).integers(0, 256, (count, *size, 3)).astype(np.uint8))


def encode_png(frame):
    stream = io.BytesIO()
    Image.fromarray(frame).save(stream, "png")
    return stream.getvalue()


def check_alike(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected):
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-4)
        np.testing.assert_allclose(one.boxes, other.boxes, atol=0.01)
        for name, values in other.fields.items():
            np.testing.assert_allclose(one.fields[name], values, atol=0.01, err_msg=name)


def test_a_video_as_in_python(client, folder, detector):
    video, found = video_of(6), []
    told = list(follow(detector, video, 0.0, keep=found.append))
    tracker, files = client.tracker(folder / "assets" / "model.json"), [encode_png(frame) for frame in video]
    check_alike(list(tracker.windows(files)), found)
    check_alike(list(tracker.follow(files)), told)
    assert any(len(one) for one in told) and list(tracker.windows([])) == []


def test_another_process_goes_on(client, folder):
    about = json.loads((folder / "assets" / "model.json").read_text())
    files = [encode_png(frame) for frame in video_of(4)]
    whole, first, second = (client.tracker(about) for _ in range(3))
    expected = [one for file in files for one in whole.push(file)]
    assert len(expected) == 3 and first.push(files[0]) == []
    second.carried.restore(first.carried.state)
    check_alike([one for file in files[1:] for one in second.push(file)], expected)


def test_what_a_tracker_of_clips_refuses(client, folder):
    content = json.loads((folder / "assets" / "model.json").read_text())
    tracker = client.tracker(content)
    with pytest.raises(UsageError, match="tells of a frame once later ones are seen"):
        tracker.step(encode_png(video_of(1)[0]))
    tracker.push(encode_png(video_of(1)[0]))
    with pytest.raises(ServerError, match="The frame has another size than the one before"):
        tracker.push(encode_png(video_of(1, (32, 32))[0]))
    with pytest.raises(UsageError, match="of a model whose frames cannot come one by one"):
        client.tracker({**content, "state": None})
