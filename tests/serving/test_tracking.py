"""A served model that tracks: the client carries the state, and says what the Python tracker says."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from centernet_tf.datasets.drawn import film
from centernet_tf.detector.detector import Detector
from centernet_tf.errors import UsageError
from centernet_tf.exports.savedmodel import export_savedmodel
from centernet_tf.model.card import InputCard, ModelCard
from centernet_tf.model.network import build_network
from centernet_tf.serving.client import GrpcClient, RestClient, ServerError

SIZE = (64, 96)


@pytest.fixture(scope="module")
def model():
    """A fresh network, which holds each cell for an object of probability 0.1."""
    form = InputCard(height=SIZE[0], width=SIZE[1], stride=4)
    card = ModelCard(
        tasks={"track": {"threshold": 0.05}}, backbone="tiny", classes=("red", "green"), max_objects=8, input=form
    )
    tasks = card.task_set()
    return build_network("tiny", tasks.heads, tasks.inputs, card.head_channels), card


@pytest.fixture(scope="module")
def detector(model):
    """The model in this process, which traces it once for all trackers."""
    return Detector(*model)


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    return export_savedmodel(model, tmp_path_factory.mktemp("served") / "spots")


@pytest.fixture(scope="module")
def signatures(folder):
    import tensorflow as tf

    signatures.loaded = tf.saved_model.load(str(folder))
    return signatures.loaded.signatures


@pytest.fixture(params=["rest", "grpc"])
def client(request, signatures, rest, grpc_server):
    names = ("red", "green")
    if request.param == "rest":
        with rest(signatures) as server:
            yield RestClient(f"http://127.0.0.1:{server.server_port}", "spots", names)
    else:
        with grpc_server(signatures) as address:
            yield GrpcClient(address, "spots", names)


def frames_of(count, size=(48, 80)):
    return [item.source for item in film.read(1, size, film=film.Film(frames=count)).items]


def encode_png(frame):
    stream = io.BytesIO()
    Image.fromarray(frame).save(stream, "png")
    return stream.getvalue()


def test_two_videos_at_a_time_as_in_python(client, folder, detector):
    about = folder / "assets" / "model.json"
    served = [client.tracker(about), client.tracker(json.loads(about.read_text()))]
    ours = [detector.tracker() for _ in served]
    frames = frames_of(8)
    for pair in zip(frames, frames[::-1]):
        for frame, there, here in zip(pair, served, ours):
            found, expected = there.step(encode_png(frame)), here.step(frame)
            assert len(expected) and found.fields["track_ids"].tolist() == expected.fields["track_ids"].tolist()
            np.testing.assert_allclose(found.scores, expected.scores, atol=1e-4)
            np.testing.assert_allclose(found.boxes, np.clip(expected.boxes, 0, [80, 48] * 2), atol=0.01)
    served[0].reset()
    assert served[0].step(encode_png(frames[0])).fields["track_ids"].min() == 1


def test_another_process_goes_on(client, folder):
    about, frames = folder / "assets" / "model.json", [encode_png(frame) for frame in frames_of(3)]
    whole, first, second = (client.tracker(about) for _ in range(3))
    expected = [whole.step(frame).fields["track_ids"].tolist() for frame in frames]
    first.step(frames[0])
    second.carried.restore(first.carried.state)
    assert [second.step(frame).fields["track_ids"].tolist() for frame in frames[1:]] == expected[1:]


def test_a_frame_of_another_size_is_refused(client, folder):
    tracker = client.tracker(folder / "assets" / "model.json")
    tracker.step(encode_png(frames_of(1)[0]))
    with pytest.raises(ServerError, match="The frame has another size than the one before"):
        tracker.step(encode_png(frames_of(1, (32, 32))[0]))
    tracker.step(encode_png(frames_of(2)[1]))  # the state is that of before


def test_descriptions_that_are_none(client, folder, tmp_path):
    content = json.loads((folder / "assets" / "model.json").read_text())
    with pytest.raises(UsageError, match="of a model of single images"):
        client.tracker({**content, "state": None})
    with pytest.raises(UsageError, match='"state" in it is damaged'):
        client.tracker({**content, "state": {"model": 1}})
    with pytest.raises(UsageError, match="cannot be read"):
        client.tracker(tmp_path / "none.json")
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(UsageError, match="holds no model's description"):
        client.tracker(tmp_path / "list.json")
