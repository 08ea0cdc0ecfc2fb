"""Whatever a server answers, the client says in a ServerError what was wrong, within its time and its memory."""

import contextlib
import gzip
import io
import itertools
import json
import socket
import threading
import time
import tracemalloc
from concurrent import futures

import numpy as np
import pytest
from PIL import Image

from centernet_tf.errors import UsageError
from centernet_tf.exports.answers import NAMES, all_answers
from centernet_tf.serving.client import GrpcClient, RestClient, ServerError

BOXES, CLASSES, SCORES, COUNT = NAMES
GOOD = {BOXES: [[[0.1, 0.2, 0.3, 0.4], [0.0, 0.0, 0.0, 0.0]]], CLASSES: [[1, 2]], SCORES: [[0.9, 0.0]], COUNT: [1]}
POINTS = next(answer.name for answer in all_answers() if answer.kind == "points")
METRES = next(answer.name for answer in all_answers() if answer.kind == "metres")
TIME = 0.6  # seconds that slow servers are waited for
MOST = 100_000


def picture() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((20, 40, 3), np.uint8)).save(buffer, "png")
    return buffer.getvalue()


@contextlib.contextmanager
def playing(pieces, pause=0.0):
    """Address of a server that answers every request with these pieces of bytes and hangs up."""
    listener = socket.create_server(("127.0.0.1", 0))

    def answer(connection):
        with connection, contextlib.suppress(OSError):
            request = b""
            while b"\r\n\r\n" not in request:
                request += connection.recv(1 << 16)
            head, _, body = request.partition(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            while len(body) < length:
                body += connection.recv(1 << 16)
            for piece in pieces() if callable(pieces) else pieces:
                connection.sendall(piece)
                if pause:
                    time.sleep(pause)

    def serve():
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    listener.close()


def reply(body, status="200 OK", **headers) -> list[bytes]:
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ["\r\n".join([*lines, "", ""]).encode() + body]


def outputs(**changes) -> list[bytes]:
    """A good answer with some outputs changed; None removes one."""
    content = {**GOOD, **changes}
    return reply({"outputs": {name: value for name, value in content.items() if value is not None}})


def chunked(*chunks: bytes) -> list[bytes]:
    return [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", *chunks]


def ask(address, **options):
    return RestClient(address, "m", ("a", "b"), **{"timeout": 10.0, **options}).predict([picture()])


CASES = {
    "nothing at all": ([], "does not answer"),
    "no HTTP": ([b"\x00\x01\x02 what?\r\n\r\n"], "does not answer"),
    "another protocol": ([b"SSH-2.0-OpenSSH_9.6\r\n"], "does not answer"),
    "a line without end": ([b"HTTP/1.1 200 " + b"x" * 80_000], "does not answer"),
    "too many headers": ([b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 500 + b"\r\n"], "does not answer"),
    "a status that is no number": ([b"HTTP/1.1 fine OK\r\n\r\n"], "does not answer"),
    "an empty body": (reply(b""), "answers 200: nothing"),
    "no content": ([b"HTTP/1.1 204 No Content\r\n\r\n"], "answers 204: nothing"),
    "half of what was announced": ([reply({"outputs": GOOD})[0][:-30]], "does not answer"),
    "fewer bytes than announced": ([b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n{}"], "does not answer"),
    "a chunk cut off": (chunked(b"ff\r\n{"), "does not answer"),
    "a chunk of all memory": (chunked(b"ffffffffffffff\r\n{"), "does not answer"),
    "a chunk whose size is none": (chunked(b"many\r\n{}"), "does not answer"),
    "a page": (reply(b"<html>Welcome</html>", Content_Type="text/html"), "answers 200: <html>Welcome"),
    "a redirect": (reply(b"", "302 Found", Location="http://other/"), "answers 302: moved to http://other/"),
    "a permanent redirect": (reply(b"", "308 Moved", Location="/v2"), "answers 308: moved to /v2. Give that"),
    "compressed": (reply(gzip.compress(json.dumps({"outputs": GOOD}).encode())), "answers 200: "),
    "a compressed bomb": (reply(gzip.compress(bytes(10**7)), Content_Encoding="gzip"), "answers 200: "),
    "unavailable": (reply({"error": "warming up"}, "503 Busy"), "answers 503: warming up"),
    "an error that is no text": (reply({"error": [1, {"a": None}]}, "400 No"), "answers 400: [1, {'a': None}]"),
    "an error that paints": (reply({"error": "\x1b[2J\x07red"}, "400 No"), "answers 400:  [2J red"),
    "an error as long as a book": (reply({"error": "no " * 9000}, "400 No"), "no no ..."),
    "bytes that are no text": (reply(b"\xff\xfe\xfa" * 50), "answers 200: "),
    "a number": (reply(5), "answers 200: 5"),
    "a text": (reply('"outputs"'), "answers 200: "),
    "null": (reply(None), "answers 200: None"),
    "a list": (reply(["outputs"]), "answers 200: ['outputs']"),
    "deeply nested": (reply(b"[" * 50_000), "answers 200: [["),
    "a number of 6000 digits": (reply(b'{"outputs": ' + b"1" * 6000 + b"}"), "answers 200: "),
    "predictions instead": (reply({"predictions": [1]}), "answers 200: {'predictions'"),
    "outputs that are a list": (reply({"outputs": [[1]]}), "the outputs are [[1]]"),
    "outputs that are null": (reply({"outputs": None}), "the outputs are None"),
    "no outputs": (reply({"outputs": {}}), f"there is no output {BOXES}"),
    "no scores": (outputs(**{SCORES: None}), f"there is no output {SCORES}"),
    "no classes": (outputs(**{CLASSES: None}), f"there is no output {CLASSES}"),
    "texts for numbers": (outputs(**{SCORES: [["0.9", "high"]]}), f"{SCORES} is no array of numbers"),
    "null for a number": (outputs(**{SCORES: [[0.9, None]]}), f"{SCORES} is no array of numbers"),
    "truths for numbers": (outputs(**{CLASSES: [[True, False]]}), f"{CLASSES} is no array of numbers"),
    "an object for a list": (outputs(**{SCORES: {"0": 1}}), f"{SCORES} is no array of numbers"),
    "integers of any length": (outputs(**{CLASSES: [[10**400, 1]]}), f"{CLASSES} is no array of numbers"),
    "ragged rows": (outputs(**{BOXES: [[[0, 0, 1, 1], [0, 0, 1]]]}), f"{BOXES} has rows of different lengths"),
    "a single number": (outputs(**{SCORES: 0.9}), f"{SCORES} has shape ()"),
    "two images for one": (outputs(**{name: GOOD[name] * 2 for name in GOOD}), "expected a row for each of 1 images"),
    "fewer boxes than scores": (outputs(**{BOXES: [GOOD[BOXES][0][:1]]}), f"{BOXES} has shape (1, 1, 4)"),
    "boxes of five": (outputs(**{BOXES: [[[0, 0, 1, 1, 1]] * 2]}), "4 numbers at the end"),
    "scores in a column": (outputs(**{SCORES: [[[0.9], [0.1]]]}), f"{SCORES} has shape (1, 2, 1)"),
    "a score of NaN": (outputs(**{SCORES: [[float("nan"), 0.1]]}), f"{SCORES} has NaN"),
    "a score over 1": (outputs(**{SCORES: [[7.5, 0.1]]}), f"{SCORES} runs from 0.1 to 7.5"),
    "a box of NaN": (outputs(**{BOXES: [[[0, 0, 1, float("nan")], [0] * 4]]}), f"{BOXES} has NaN"),
    "a box too large for float32": (outputs(**{BOXES: [[[0, 0, 1, 1e300], [0] * 4]]}), f"{BOXES} has NaN or inf"),
    "boxes in pixels": (outputs(**{BOXES: [[[0, 0, 300, 400], [0] * 4]]}), f"{BOXES} runs from 0 to 400"),
    "a class without a name": (outputs(**{CLASSES: [[3, 1]]}), "2 names are known"),
    "class 0": (outputs(**{CLASSES: [[0, 1]]}), "classes run from -1"),
    "points of three": (outputs(**{POINTS: [[[[0, 0, 1]]] * 2]}), "2 numbers at the end"),
    "points for other objects": (outputs(**{POINTS: [[[[0, 0]]] * 3]}), f"{POINTS} has shape (1, 3, 1, 2)"),
    "metres of infinity": (outputs(**{METRES: [[[float("inf")] * 3] * 2]}), f"{METRES} has NaN or infinite"),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_answers_are_server_errors(case):
    pieces, message = CASES[case]
    with playing(pieces) as address, pytest.raises(ServerError) as caught:
        ask(address)
    assert message in str(caught.value) and address in str(caught.value)
    assert len(str(caught.value)) < 600 and str(caught.value).isprintable()


def test_a_good_answer_is_none_of_them():
    nan = float("nan")  # in a row that holds no object
    with playing(outputs(**{METRES: [[[1.0] * 3, [nan] * 3]]})) as address:
        (found,) = ask(address)
    assert found.scores.tolist() == pytest.approx([0.9])
    np.testing.assert_allclose(found.boxes, [[8, 2, 16, 6]], rtol=1e-5)


def test_no_object_at_all():
    with playing(outputs(**{BOXES: [[]], CLASSES: [[]], SCORES: [[]]})) as address:
        assert len(ask(address)[0]) == 0


def forever(piece: bytes, first: bytes = b"HTTP/1.1 200 OK\r\n"):
    return lambda: itertools.chain([first], itertools.repeat(piece))


ENDLESS = {
    "silence": (lambda: itertools.chain([b"HTTP/1.1 200 OK\r\n"], itertools.repeat(b"")), 0.05),
    "headers": (forever(b"a: b\r\n"), 0.05),
    "continue": (forever(b"HTTP/1.1 100 Continue\r\n\r\n", b""), 0.02),
    "body": (forever(b" ", b"HTTP/1.1 200 OK\r\n\r\n"), 0.02),
    "announced body": (forever(b" ", b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"), 0.02),
    "chunks": (forever(b"1\r\n \r\n", chunked()[0]), 0.02),
    "trailers": (forever(b"a: b\r\n", chunked()[0] + b"2\r\n{}\r\n0\r\n"), 0.02),
}


@pytest.mark.parametrize("case", ENDLESS)
def test_an_answer_that_drips_ends_with_the_timeout(case):
    pieces, pause = ENDLESS[case]
    start = time.monotonic()
    with playing(pieces, pause) as address, pytest.raises(ServerError, match=f"within {TIME:g} seconds"):
        ask(address, timeout=TIME)
    assert time.monotonic() - start < TIME + 0.5


@pytest.mark.parametrize("case", ["continue", "body", "chunks", "trailers"])
def test_an_answer_that_never_ends_is_not_kept(case):
    first, piece = {
        "continue": (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 400),
        "body": (b"HTTP/1.1 200 OK\r\n\r\n", b" " * 10_000),
        "chunks": (chunked()[0], b"2710\r\n" + b" " * 10_000 + b"\r\n"),
        "trailers": (chunked()[0] + b"2\r\n{}\r\n0\r\n", b"a: b\r\n" * 1000),
    }[case]
    tracemalloc.start()
    with (
        playing(forever(piece, first)) as address,
        pytest.raises(ServerError, match="more than 100000 bytes") as caught,
    ):
        ask(address, max_bytes=MOST)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4e6
    assert "Ask for fewer images" in str(caught.value)


def test_a_server_that_does_not_read_ends_with_the_timeout():
    listener = socket.create_server(("127.0.0.1", 0))
    with listener, pytest.raises(ServerError, match="does not answer"):
        client = RestClient(f"http://127.0.0.1:{listener.getsockname()[1]}", "m", ("a", "b"), timeout=TIME)
        client.ask([bytes(30_000_000)])


@pytest.mark.parametrize("options", [{"timeout": 0}, {"timeout": float("nan")}, {"timeout": -1}, {"max_bytes": 0}])
def test_bounds_that_are_none(options):
    with pytest.raises(UsageError, match="expected finite numbers above 0"):
        RestClient("http://localhost:8501", "m", (), **options)


@pytest.mark.parametrize(
    "address", ["http://host:99999", "http://host:port", "http://[::1", "http://h/?a=b", "http://u@h"]
)
def test_addresses_that_are_none(address):
    with pytest.raises(UsageError, match="is not a server's address"):
        RestClient(address, "m", ())


@contextlib.contextmanager
def answering(fill):
    """Address of a gRPC server whose answers `fill` makes."""
    grpc = pytest.importorskip("grpc")
    api = pytest.importorskip("tensorflow_serving.apis.prediction_service_pb2_grpc")
    from tensorflow_serving.apis import predict_pb2

    class Service(api.PredictionServiceServicer):
        def Predict(self, request, context):  # noqa: N802  The name is the protocol's.
            answer = predict_pb2.PredictResponse()
            fill(answer.outputs, context)
            return answer

    server = grpc.server(futures.ThreadPoolExecutor(2))
    api.add_PredictionServiceServicer_to_server(Service(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(0).wait()


def tensors(changes):
    """Fills a good answer with some tensors changed; None removes one."""
    import tensorflow as tf

    def fill(places, context):
        for name, value in {**GOOD, **changes}.items():
            if value is not None:
                plain = value if isinstance(value, np.ndarray) else np.float32(value)
                places[name].CopyFrom(tf.make_tensor_proto(plain))

    return fill


GRPC_CASES = {
    "no scores": ({SCORES: None}, f"no output {SCORES}"),
    "texts": ({SCORES: np.array([[b"a", b"b"]])}, "expected float32"),
    "doubles": ({SCORES: np.float64([[0.9, 0.1]])}, "expected float32"),
    "NaN": ({SCORES: [[float("nan"), 0]]}, f"{SCORES} has NaN"),
    "other rows": ({BOXES: np.zeros((1, 5, 4), np.float32)}, f"{BOXES} has shape (1, 5, 4)"),
    "other images": ({SCORES: np.zeros((3, 2), np.float32)}, "expected a row for each of 1 images"),
    "no axis": ({SCORES: np.float32(1)}, f"{SCORES} has shape ()"),
    "too much": ({METRES: np.zeros((1, 2, 100_000), np.float32)}, "RESOURCE_EXHAUSTED"),
}


@pytest.mark.parametrize("case", GRPC_CASES)
def test_bad_answers_over_grpc(case):
    changes, message = GRPC_CASES[case]
    with answering(tensors(changes)) as address, pytest.raises(ServerError) as caught:
        GrpcClient(address, "m", ("a", "b"), max_bytes=MOST).predict([picture()])
    assert message in str(caught.value) and address in str(caught.value)


def test_a_tensor_that_contradicts_itself():
    def fill(places, context):
        tensors({})(places, context)
        places[SCORES].tensor_shape.dim[1].size = 10**12

    with answering(fill) as address, pytest.raises(ServerError, match="a tensor that is none"):
        GrpcClient(address, "m", ("a", "b")).predict([picture()])


def test_grpc_ends_with_the_timeout():
    start = time.monotonic()
    with answering(lambda places, context: time.sleep(1.5)) as address:
        with pytest.raises(ServerError, match="DEADLINE_EXCEEDED"):
            GrpcClient(address, "m", (), timeout=TIME).predict([picture()])
        assert time.monotonic() - start < TIME + 0.5


@pytest.mark.parametrize("kind", ["rest", "grpc"])
def test_every_answer_of_every_property_arrives(kind):
    random = np.random.default_rng(0)
    of_objects = [answer for answer in all_answers() if answer.level == "object"]
    sides = {answer.name: 4 if answer.kind == "boxes" else 2 for answer in of_objects}
    values = {name: random.random((1, 2, 5, count), np.float32) for name, count in sides.items()}
    # The first object does something alone, by two verbs.
    pairs = {"subjects": [0, 0], "objects": [-1, -1], "verbs": [3, 1], "scores": [0.75, 0.5]}
    values |= {f"interaction_{name}": np.float32([told]) for name, told in pairs.items()}
    if kind == "rest":
        server = playing(outputs(**{name: value.tolist() for name, value in values.items()}))
    else:
        server = answering(tensors(values))
    with server as address:
        client = (RestClient if kind == "rest" else GrpcClient)(address, "m", ("a", "b"))
        (found,) = client.predict([picture()])
    assert set(found.fields) == {answer.field for answer in of_objects}
    assert (found.pairs.rows.tolist(), found.pairs.verbs.tolist()) == ([[0, -1], [0, -1]], [3, 1])
    assert found.pairs.scores.tolist() == [0.75, 0.5]
    for answer in of_objects:
        expected = values[answer.name][0, :1]
        if answer.kind == "points":
            expected = expected[..., ::-1] * [40, 20]
        if answer.kind == "boxes":
            expected = expected[..., [1, 0, 3, 2]] * [40, 20, 40, 20]
        np.testing.assert_allclose(found.fields[answer.field], expected, rtol=1e-6)
