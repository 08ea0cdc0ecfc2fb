"""The page's server: pages and answers over HTTP, one question at a time, whoever asks."""

import contextlib
import json
import socket
import tempfile
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from werkzeug.exceptions import BadRequest, Forbidden, HTTPException, NotFound, RequestEntityTooLarge
from werkzeug.routing import Map, Rule
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response

from centernet_tf.demo.examples import Example
from centernet_tf.demo.models import Answer, Shown
from centernet_tf.errors import DataError, UsageError, brief, closest, out_of_memory
from centernet_tf.media import video

MOST_BYTES = 64 * 1024 * 1024  # of an upload
PAGE = Path(__file__).parent / "page"
TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css", ".js": "text/javascript"}
LOOPBACK = ("127.0.0.1", "::1", "localhost")
# Nothing is loaded from elsewhere, and no other page may show this one in a frame.
POLICY = "default-src 'self'; img-src 'self' data: blob:; frame-ancestors 'none'"
WAIT = 60  # seconds that a connection may be silent
NO_MEMORY = "out of memory. Give a smaller image."


class Demo:
    """The page of some models as a WSGI application; any server of such may run it.

    Args:
        models: One for each tab.
        hosts: Names of this machine that a browser may have called; None for any. Without it, a page from elsewhere
            could reach a server of this machine by a name that it has made to mean this machine.
    """

    def __init__(self, models: Sequence[Shown], hosts: Sequence[str] | None = LOOPBACK):
        self.models, self.hosts = models, hosts
        # Together they would take as long, and more memory.
        self._one_at_a_time = threading.Lock()
        rules = {
            "/": self._file,
            "/<name>": self._file,
            "/models": self._facts,
            "/models/<int:model>/examples/<int:example>": self._thumbnail,
            "/models/<int:model>/image": self._image,
            "/models/<int:model>/point": self._point,
            "/models/<int:model>/video": self._video,
        }
        asked = {self._image: ["POST"], self._point: ["POST"], self._video: ["POST"]}
        self._map = Map([Rule(path, endpoint=to, methods=asked.get(to, ["GET"])) for path, to in rules.items()])

    @Request.application
    def __call__(self, request: Request) -> Response:
        request.max_content_length = MOST_BYTES
        try:
            if self.hosts is not None and urllib.parse.urlsplit(f"//{request.host}").hostname not in self.hosts:
                raise Forbidden
            endpoint, arguments = self._map.bind_to_environ(request.environ).match()
            response = endpoint(request, **arguments)
        except Exception as error:
            message, status = _told(error)
            response = _json({"error": message}, status)
        response.headers["Content-Security-Policy"] = POLICY
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    def _file(self, request: Request, name: str = "page.html") -> Response:
        if name not in {path.name for path in PAGE.iterdir()}:
            raise NotFound
        return Response((PAGE / name).read_bytes(), content_type=TYPES[Path(name).suffix])

    def _facts(self, request: Request) -> Response:
        return _json({"models": [one.facts for one in self.models], "most_bytes": MOST_BYTES})

    def _thumbnail(self, request: Request, model: int, example: int) -> Response:
        return Response(self._example(model, example).thumbnail, content_type="image/jpeg")

    def _image(self, request: Request, model: int) -> Response:
        shown, wanted = self._model(model), (_number(request, "threshold", None), "heatmap" in request.args)
        content, name, extras = self._given(request, model, moving=False)
        return self._answer(lambda: shown.find(content, name, *wanted, extras))

    def _point(self, request: Request, model: int) -> Response:
        shown, point = self._model(model), (_number(request, "x"), _number(request, "y"))
        content, name, extras = self._given(request, model, moving=False)
        return self._answer(lambda: shown.at_point(content, name, point, extras))

    def _video(self, request: Request, model: int) -> Response:
        """A line of JSON for each frame, as soon as it is told."""
        shown, threshold = self._model(model), _number(request, "threshold", None)
        content, name, extras = self._given(request, model, moving=True)
        if isinstance(content, bytes):
            lines = self._lines(_uploaded(shown, content, name, threshold))
        else:
            lines = self._lines(shown.watch(content, threshold, extras))
        return Response(lines, content_type="application/x-ndjson")

    def _lines(self, answers: Iterator[Answer]) -> Iterator[str]:
        with contextlib.closing(answers):
            try:
                while True:
                    with self._one_at_a_time:
                        answer = next(answers, None)
                    if answer is None:
                        return
                    yield json.dumps(answer) + "\n"
            except Exception as error:  # The answer has begun, so that its last line says it.
                yield json.dumps({"error": _told(error)[0]}) + "\n"

    def _answer(self, ask: Callable[[], Answer]) -> Response:
        start = time.perf_counter()
        with self._one_at_a_time:
            waited = time.perf_counter() - start
            answer = ask()
        return _json({**answer, "times": {"waited": round(1000 * waited, 1), **answer["times"]}})

    def _model(self, number: int) -> Shown:
        if number >= len(self.models):
            raise NotFound
        return self.models[number]

    def _example(self, model: int, number: int) -> Example:
        examples = self._model(model).examples
        if number >= len(examples):
            raise NotFound
        return examples[number]

    def _given(self, request: Request, model: int, moving: bool) -> tuple[Any, str, Mapping[str, Any]]:
        """The example that is asked about, or the file that was sent, its name, and what is known of it."""
        number = _number(request, "example", -1)
        if number >= 0:
            example = self._example(model, int(number))
            if example.moving != moving:
                raise BadRequest
            return example.content, example.name, example.extras
        return request.get_data(), request.args.get("name", "image")[:100], {}


def _uploaded(shown: Shown, data: bytes, name: str, threshold: float | None) -> Iterator[Answer]:
    """What is told of the bytes of a video, which OpenCV reads from files only."""
    suffix = Path(name).suffix.lower()
    if suffix not in video.SUFFIXES:
        raise UsageError(
            f"{name}: files that end in {suffix!r} are no known videos.{closest(suffix, video.SUFFIXES)} Known: "
            f"{', '.join(video.SUFFIXES)}."
        )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"video{suffix}"
        path.write_bytes(data)
        try:
            yield from shown.watch(path, threshold)
        except DataError as error:
            raise DataError(str(error).replace(str(path), name)) from error


def _number(request: Request, name: str, *default: Any) -> Any:
    """A number of the address."""
    text = request.args.get(name)
    if text is None and default:
        return default[0]
    try:
        return float(text or "")
    except ValueError:
        raise UsageError(f"{name} is {brief(text)}, expected a number.") from None


def _told(error: Exception) -> tuple[str, int]:
    """What a visitor is told, and HTTP's status."""
    if isinstance(error, RequestEntityTooLarge):
        return f"The file is larger than {MOST_BYTES >> 20} MB. Make it smaller.", 413
    if isinstance(error, HTTPException):
        return f"{error.name}.", error.code or 500
    if out_of_memory(error):
        return NO_MEMORY, 507
    if isinstance(error, (DataError, UsageError, ValueError)):
        return str(error), 400
    return f"{type(error).__name__}: {error}", 500


def _json(content: Answer, status: int = 200) -> Response:
    return Response(json.dumps(content), status, content_type="application/json")


class _Quietly(WSGIRequestHandler):
    """Says nothing of each request, and lets nobody hold a connection."""

    timeout = WAIT

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Nothing."""


def open_server(models: Sequence[Shown], host: str, port: int) -> BaseWSGIServer:
    """A server of the page, listening; `serve_forever` answers until Ctrl-C.

    Args:
        models: One for each tab.
        host: Name or address of this machine; of a loopback one, no other machine reaches it.
        port: 0 for any that is free; `port` of the server tells it.

    Raises:
        UsageError: There is no such host here, or the port is taken.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.create_server(address[:2], family=family, backlog=128)
    except OSError as error:
        raise UsageError(
            f"{host}:{port}: cannot listen there ({error.strerror or error}). Give another --port, 0 for any that is "
            "free, or another --host."
        ) from error
    hosts = LOOPBACK if address[0] in LOOPBACK else None
    with listening:
        given = {"threaded": True, "request_handler": _Quietly, "fd": listening.fileno()}
        return make_server(address[0], listening.getsockname()[1], Demo(models, hosts), **given)
