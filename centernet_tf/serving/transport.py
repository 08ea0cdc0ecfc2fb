"""One HTTP request within a time and a size, whatever the server does meanwhile.

A socket's own timeout starts again with each byte, and `http.client` reads as much as a server announces. Here all that
comes, headers and trailers too, goes through a file that counts bytes and looks at one clock.
"""

import http.client
import io
import socket
import time
from typing import Any

PIECE = 1 << 16  # bytes sent or read between two looks at the clock


class AnswerTooLargeError(OSError):
    """More came than was allowed."""


class Budget:
    """What one request may take.

    Args:
        seconds: From now to the end of the answer.
        size: Bytes of the answer with its headers.
    """

    def __init__(self, seconds: float, size: int):
        self.seconds, self.size = seconds, size
        self._end, self._left = time.monotonic() + seconds, size

    def time_left(self) -> float:
        """Seconds, more than 0. Raises TimeoutError where there are none."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"no whole answer within {self.seconds:g} seconds")
        return left

    def take(self, count: int) -> None:
        """Notes bytes that came. Raises AnswerTooLargeError where they are too many."""
        self._left -= count
        if self._left < 0:
            raise AnswerTooLargeError(f"an answer of more than {self.size} bytes")


class _Bounded:
    """Makes a connection of `http.client` keep to the budget that is set before each request."""

    budget: Budget

    def connect(self) -> None:
        self.timeout = self.budget.time_left()
        super().connect()
        self.sock = _Wire(self.sock, self)


class _Http(_Bounded, http.client.HTTPConnection):
    pass


class _Https(_Bounded, http.client.HTTPSConnection):
    pass


class _Wire:
    """What `http.client` uses of a socket."""

    def __init__(self, sock: socket.socket, connection: _Bounded):
        self._sock, self._connection = sock, connection

    def sendall(self, data: bytes) -> None:
        view = memoryview(data)
        for start in range(0, len(view), PIECE):
            self._sock.settimeout(self._connection.budget.time_left())
            self._sock.sendall(view[start : start + PIECE])

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Incoming(self._sock, self._connection.budget), PIECE)

    def close(self) -> None:
        self._sock.close()


class _Incoming(io.RawIOBase):
    def __init__(self, sock: socket.socket, budget: Budget):
        self._sock, self._budget = sock, budget
        self._file = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(self._budget.time_left())
        try:
            count = self._file.readinto(buffer) or 0
        except TimeoutError:
            self._budget.time_left()  # says how long was waited
            raise
        self._budget.take(count)
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


def connection_to(scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
    """A connection, "http" or "https", that opens with its first request and may stay open for more."""
    return (_Https if scheme == "https" else _Http)(host, port)


def post(
    connection: http.client.HTTPConnection, path: str, body: bytes, budget: Budget
) -> tuple[int, http.client.HTTPMessage, bytes]:
    """Sends JSON.

    Args:
        connection: Of `connection_to`.
        path: On the server.
        body: JSON.
        budget: What the request may take; a name look-up and each address tried are waited for by themselves.

    Returns:
        Status, headers and body of the answer. Redirects are not followed.

    Raises:
        OSError: TimeoutError, AnswerTooLargeError, or the server cannot be reached.
        http.client.HTTPException: What came is not HTTP, or was cut off.
    """
    connection.budget = budget
    connection.request("POST", path, body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    pieces = []
    while piece := answer.read(PIECE):
        pieces.append(piece)
    if answer.length:
        raise http.client.IncompleteRead(b"", answer.length)
    return answer.status, answer.headers, b"".join(pieces)
