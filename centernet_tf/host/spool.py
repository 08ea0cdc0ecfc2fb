"""Lists of JSON that are too long for memory: each item waits on disk until the file that it belongs to is written."""

import json
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from centernet_tf.host.files import telling

HELD = 2**20  # bytes that stay in memory, so that short lists need no disk


class Spool:
    """A list that can be added to, and told in the end; `close` frees the disk.

    Raises:
        DataError: The folder of temporary files cannot be written to.
    """

    def __init__(self) -> None:
        text = {"encoding": "utf-8", "newline": "\n", "errors": "surrogatepass"}
        self._file = tempfile.SpooledTemporaryFile(HELD, "w+", **text)  # noqa: SIM115

    def extend(self, items: Iterable[Any]) -> None:
        """Adds what can be written as JSON."""
        with telling(Path(tempfile.gettempdir())):
            self._file.writelines(json.dumps(item, ensure_ascii=False) + "\n" for item in items)

    def __iter__(self) -> Iterator[str]:
        """The JSON of each item, in order."""
        self._file.seek(0)
        return (line.rstrip("\n") for line in self._file)

    def close(self) -> None:
        self._file.close()


def pieces(value: Any) -> Iterator[str]:
    """JSON of a value, part by part, with a spool for any list inside dicts and lists."""
    if isinstance(value, dict):
        parts = ((f"{json.dumps(key, ensure_ascii=False)}: ", pieces(one)) for key, one in value.items())
        yield from _between("{", parts, "}")
    elif isinstance(value, (list, tuple)):
        yield from _between("[", (("", pieces(one)) for one in value), "]")
    elif isinstance(value, Spool):
        yield from _between("[", ((text, ()) for text in value), "]")
    else:
        yield json.dumps(value, ensure_ascii=False)


def _between(start: str, parts: Any, end: str) -> Iterator[str]:
    yield start
    for number, (before, inner) in enumerate(parts):
        yield (", " if number else "") + before
        yield from inner
    yield end
