"""The page's server: what it answers over HTTP, to whom, and what it refuses."""

import json
import tempfile
import threading
import time

import pytest
from werkzeug.test import Client

from centernet_tf.demo import server
from centernet_tf.errors import UsageError

pytestmark = pytest.mark.usefixtures("eagerly")
HERE = {"base_url": "http://127.0.0.1:7860"}


@pytest.fixture
def client(spots):
    return Client(server.Demo([spots]))


def test_the_page_loads_nothing_from_elsewhere(client):
    page = client.get("/", **HERE)
    assert page.status_code == 200 and page.mimetype == "text/html"
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    for name, kind in (("page.js", "text/javascript"), ("page.css", "text/css")):
        assert name in page.text
        file = client.get(f"/{name}", **HERE)
        assert file.mimetype == kind and file.text and "http" not in file.text
    assert "http" not in page.text


def test_models_and_thumbnails(client, spots):
    facts = client.get("/models", **HERE).json
    assert facts == {"models": [spots.facts], "most_bytes": server.MOST_BYTES}
    image = client.get("/models/0/examples/1", **HERE)
    assert image.mimetype == "image/jpeg" and image.data == spots.examples[1].thumbnail


def test_an_example_and_the_same_file_sent(client, folder):
    data = (folder / "a.png").read_bytes()
    sent = client.post("/models/0/image?name=a.png&heatmap=1&threshold=0.5", data=data, **HERE).json
    asked = client.post("/models/0/image?example=0&heatmap=1&threshold=0.5", **HERE).json
    assert len(sent["objects"]) == 2 and set(sent["times"]) == {"waited", "read", "found", "drawn"}
    assert {**sent, "times": None} == {**asked, "times": None}
    assert client.post("/models/0/image?example=0&threshold=1", **HERE).json["objects"] == []


def test_a_point(client):
    answer = client.post("/models/0/point?example=0&x=70&y=20", **HERE).json
    assert answer["objects"][0]["category"] == "green"


def test_a_video_frame_by_frame(client, folder):
    for body in ({}, {"data": (folder / "c.mp4").read_bytes()}):
        query = "name=c.MP4" if body else "example=2"
        lines = client.post(f"/models/0/video?{query}", **body, **HERE).text.splitlines()
        assert [json.loads(line)["frame"] for line in lines] == [1, 2, 3, 4, 5, 6]


def test_who_leaves_a_video_leaves_nothing_behind(client, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    answer = client.post("/models/0/video?name=c.mp4", data=(folder / "c.mp4").read_bytes(), **HERE)
    assert json.loads(next(answer.iter_encoded()))["frame"] == 1 and len(list(tmp_path.iterdir())) == 1
    answer.close()
    assert not list(tmp_path.iterdir())
    assert client.post("/models/0/image?example=0", **HERE).status_code == 200


@pytest.mark.parametrize(
    ("address", "data", "status", "message"),
    [
        ("/models/0/image?name=notes.txt", b"hello", 400, "notes.txt: not an image that can be read; it starts with"),
        ("/models/0/image?name=a.png", b"", 400, "a.png: the image file is empty"),
        ("/models/0/image?example=0&threshold=much", b"", 400, "threshold is 'much', expected a number."),
        ("/models/0/image?example=0&threshold=2", b"", 400, "threshold is 2.0, expected a score from 0 to 1"),
        ("/models/0/image?example=2", b"", 400, "Bad Request."),  # a video
        ("/models/0/point?example=0&x=1", b"", 400, "y is None, expected a number."),
        ("/models/0/point?example=0&x=1&y=1000", b"", 400, "outside of the image"),
        ("/models/1/image?example=0", b"", 404, "Not Found."),
        ("/models/0/image?example=3", b"", 404, "Not Found."),
        ("/models/0/video?example=0", b"", 400, "Bad Request."),  # an image
        ("/nothing", b"", 405, "Method Not Allowed."),
    ],
)
def test_wrong_questions(address, data, status, message, client):
    answer = client.post(address, data=data, **HERE)
    assert answer.status_code == status and message in answer.json["error"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a.mp4", "a.mp4: not a video that can be read."),
        ("a.mp5", "a.mp5: files that end in '.mp5' are no known videos. Did you mean '.mp4'?"),
    ],
)
def test_what_is_no_video(name, message, client):
    """The answer has begun, so its only line says it."""
    (line,) = client.post(f"/models/0/video?name={name}", data=b"no video", **HERE).text.splitlines()
    assert json.loads(line)["error"].startswith(message)


@pytest.mark.parametrize("address", ["/page.py", "/..%2Fserver.py", "/__init__.py", "/models/0/examples/9"])
def test_nothing_else_is_served(address, client):
    assert client.get(address, **HERE).status_code == 404


def test_too_large(client, monkeypatch):
    monkeypatch.setattr(server, "MOST_BYTES", 4)
    answer = client.post("/models/0/image", data=b"hello", **HERE)
    assert answer.status_code == 413 and answer.json["error"].startswith("The file is larger than")


def test_out_of_memory(client, spots, monkeypatch):
    def find(*arguments):
        raise MemoryError

    monkeypatch.setattr(spots, "find", find)
    answer = client.post("/models/0/image?example=0", **HERE)
    assert answer.status_code == 507 and answer.json["error"] == server.NO_MEMORY


def test_other_names_of_this_machine(spots):
    """A page from elsewhere may have a name that it says is this machine's."""
    for hosts, statuses in ((server.LOOPBACK, (200, 200, 200, 403)), (None, (200, 200, 200, 200))):
        client = Client(server.Demo([spots], hosts))
        bases = ("http://localhost", "http://127.0.0.1:80", "http://[::1]:7860", "http://elsewhere.example:7860")
        assert tuple(client.get("/models", base_url=base).status_code for base in bases) == statuses


def test_one_question_at_a_time(spots, monkeypatch):
    together, most = [], []
    find = spots.find

    def slowly(*arguments):
        together.append(1)
        most.append(len(together))
        time.sleep(0.05)
        together.pop()
        return find(*arguments)

    monkeypatch.setattr(spots, "find", slowly)
    demo, answers = server.Demo([spots]), []

    def visit():
        answers.append(Client(demo).post("/models/0/image?example=0", **HERE).json)

    visitors = [threading.Thread(target=visit) for _ in range(10)]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join()
    assert max(most) == 1 and [len(answer["objects"]) for answer in answers] == [2] * 10
    assert max(answer["times"]["waited"] for answer in answers) > 50


def test_a_port_that_is_taken(spots):
    with server.open_server([spots], "127.0.0.1", 0) as first:
        assert first.port > 0 and first.app.hosts == server.LOOPBACK
        with pytest.raises(UsageError, match=rf"127\.0\.0\.1:{first.port}: cannot listen there"):
            server.open_server([spots], "127.0.0.1", first.port)
    with pytest.raises(UsageError, match="Give another --port"):
        server.open_server([spots], "no.such.host.invalid", 0)
    with server.open_server([spots], "0.0.0.0", 0) as everywhere:
        assert everywhere.app.hosts is None
