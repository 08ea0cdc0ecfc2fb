"""Both clients against real servers: the detector's answers, wrong files, and servers that are not there."""

import io
import subprocess
import sys
import threading

import numpy as np
import pytest
from PIL import Image

from centernet_tf.detector.detector import Detector
from centernet_tf.errors import DataError, UsageError
from centernet_tf.serving.client import GrpcClient, RestClient, ServerError

NAMES = ("red", "green")


def png(image) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "png")
    return buffer.getvalue()


@pytest.fixture
def images(draw_spots):
    return [draw_spots(64, 64, (20, 30, 0)), draw_spots(200, 100, (50, 60, 1), (150, 20, 0)), draw_spots(30, 90)]


@pytest.fixture(params=["rest", "grpc"])
def connect(request):
    """Function (model, **options) -> client."""
    if request.param == "rest":
        address = f"http://127.0.0.1:{request.getfixturevalue('rest_server').server_port}"
        return lambda model="spots", **options: RestClient(address, model, NAMES, **options)
    address = request.getfixturevalue("grpc_address")
    return lambda model="spots", **options: GrpcClient(address, model, NAMES, **options)


def test_finds_what_the_detector_finds(connect, images, spot_network, spot_card, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(png(images[0]))
    found = connect().predict([path, *map(png, images[1:])])
    assert [len(one) for one in found] == [1, 2, 0]
    for came, expected in zip(found, Detector(spot_network, spot_card)(images)):
        assert came.image_size == expected.image_size and came.class_names == expected.class_names
        width, height = expected.image_size
        np.testing.assert_allclose(came.boxes, expected.boxes.clip(0, [width, height, width, height]), atol=0.01)
        np.testing.assert_allclose(came.scores, expected.scores, atol=1e-4)


def test_nothing_to_ask(connect):
    assert connect().predict([]) == []


def test_a_version(connect, images):
    assert len(connect(version=1).predict([png(images[0])])[0]) == 1


def test_thresholds_of_the_model_count_where_none_is_given(connect, images):
    client = connect(thresholds=(1.0, 0.3))
    assert client.predict([png(images[1])])[0].class_names == ["green"]
    assert len(client.predict([png(images[1])], threshold=0.3)[0]) == 2


@pytest.mark.parametrize(
    ("data", "message"), [(b"", "image 1: the image file is empty"), (b"no image", "image 1: not an image")]
)
def test_wrong_files_are_not_sent(connect, images, data, message):
    with pytest.raises(DataError, match=message):
        connect().predict([png(images[0]), data])


def test_the_server_refuses_what_it_cannot_decode(connect, images):
    whole = png(images[1])
    with pytest.raises(ServerError, match=r"answers (400|INVALID_ARGUMENT)") as caught:
        connect().predict([whole, whole[: len(whole) // 2]])
    assert caught.value.status in (400, 3)


def test_unknown_models(connect, images):
    with pytest.raises(ServerError, match=r"answers (404|NOT_FOUND).*not found"):
        connect("spot").predict([png(images[0])])


@pytest.mark.parametrize("kind", [RestClient, GrpcClient])
def test_no_server(kind, images):
    address = "http://127.0.0.1:9" if kind is RestClient else "127.0.0.1:9"
    with pytest.raises(ServerError, match=r"127\.0\.0\.1:9"):
        kind(address, "spots", NAMES, timeout=2).predict([png(images[0])])


@pytest.mark.parametrize("address", ["localhost:8501", "ftp://host", ""])
def test_wrong_addresses(address):
    with pytest.raises(UsageError, match="http://localhost:8501"):
        RestClient(address, "spots", NAMES)


def test_answers_that_are_no_json(rest_server, images):
    client = RestClient(f"http://127.0.0.1:{rest_server.server_port}", "spots", NAMES, version=1)
    rest_server.broken.add("/v1/models/spots/versions/1:predict")
    try:
        with pytest.raises(ServerError, match="answers 500: <html>"):
            client.predict([png(images[0])])
    finally:
        rest_server.broken.clear()
    assert len(client.predict([png(images[0])])[0]) == 1


def test_threads_share_a_client(connect, images):
    client, counts = connect(), []
    data = [png(image) for image in images]
    ask = lambda: counts.extend(len(client.predict([one])[0]) for one in data)  # noqa: E731
    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(counts) == sorted([1, 2, 0] * 6)


def test_the_client_of_rest_needs_no_tensorflow():
    code = "import sys, centernet_tf.serving.client; sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_grpc_names_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_serving.apis", None)
    with pytest.raises(UsageError, match=r"centernet_tf\[serving\]"):
        GrpcClient("localhost:8500", "spots", NAMES)
