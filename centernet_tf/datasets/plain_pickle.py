"""Reads pickles of lists, dicts, numbers, text and arrays, and runs nothing of what is in them.

A pickle is a program: it may ask for any function there is. Of those only the few are known here that arrays and plain
containers need, and these are stand-ins, which only note what the array is made of.
"""

import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from centernet_tf.errors import DataError, UsageError


def read(path: Path) -> Any:
    """The content of a pickle of any protocol, Python 2's among them.

    Raises:
        UsageError: There is no such file.
        DataError: It is no pickle or damaged, or holds what would have to run code to be read.
    """
    if not path.is_file():
        raise UsageError(f"{path}: no such file.")
    try:
        with path.open("rb") as file:
            return _plain(_Reader(file, path).load(), {})
    except (DataError, MemoryError):
        raise
    # Damaged pickles raise nearly anything.
    except Exception as error:
        raise DataError(
            f"{path}: not readable as a pickle ({type(error).__name__}: {error!s:.80}). Get it again."
        ) from None


class _Kind:
    """Stands in for a type of numbers."""

    def __init__(self, text: str, *_: Any) -> None:
        match = re.fullmatch(r"[<>|=]?([biufSUO]\d{1,4})", text)
        if not match:
            raise ValueError(f"numbers of type {text!r:.20}")
        self._text = text if text[0] in "<>|=" else f"={text}"

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if state[1] in ("<", ">", "|", "="):
            self._text = state[1] + self._text.lstrip("<>|=")

    @property
    def value(self) -> np.dtype:
        """The type."""
        return np.dtype(self._text)


class _Array:
    """Stands in for an array."""

    def __init__(self, *_: Any) -> None:
        self._parts: tuple[Any, ...] | None = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, by_column, data = state
        self._parts = data, kind, shape, "F" if by_column else "C"

    @classmethod
    def of(cls, *parts: Any) -> "_Array":
        """From data, type, shape and order, as protocol 5 has it."""
        made = cls()
        made._parts = parts
        return made

    def value(self, plain: Callable[[Any], Any]) -> Any:
        """The array; a list where it holds objects."""
        if self._parts is None:
            raise ValueError("an array without content")
        data, kind, shape, order = self._parts
        if kind.value.hasobject:
            return [plain(one) for one in data]
        if isinstance(data, str):
            data = data.encode("latin1")  # as Python 2 wrote it
        return np.frombuffer(data, kind.value).reshape(shape, order=order).copy()


def _scalar(kind: _Kind, data: Any) -> Any:
    data = data.encode("latin1") if isinstance(data, str) else data
    return np.frombuffer(data, kind.value, 1)[0]


def _encode(text: str, encoding: str = "latin1") -> bytes:
    if encoding not in ("latin1", "latin-1"):
        raise ValueError(f"text as {encoding!r:.20}")
    return text.encode("latin1")


_ARRAYS = {"_reconstruct": _Array, "scalar": _scalar, "ndarray": _Array, "dtype": _Kind, "_frombuffer": _Array.of}
_KNOWN: dict[tuple[str, str], Any] = {
    ("__builtin__", "bytes"): lambda: b"",  # what old protocols make of no bytes
    ("_codecs", "encode"): _encode,
    ("collections", "OrderedDict"): dict,
    ("collections", "defaultdict"): lambda factory=None: {},
    **{(module, kind.__name__): kind for module in ("builtins", "__builtin__") for kind in (dict, list, set)},
    **{
        (f"numpy{part}", name): _ARRAYS[name]
        for core in ("core", "_core")
        for part, names in (
            ("", ("ndarray", "dtype")),
            (f".{core}.multiarray", ("_reconstruct", "scalar")),
            (f".{core}.numeric", ("_frombuffer",)),
        )
        for name in names
    },
}


class _Reader(pickle.Unpickler):
    """Gives stand-ins for what is known, and refuses all else."""

    def __init__(self, file: Any, path: Path) -> None:
        super().__init__(file, encoding="latin1")
        self._path = path

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _KNOWN:
            raise DataError(
                f"{self._path}: asks for {module}.{name}, which would have to run to read it; nothing of it was run. "
                "Lists, numbers and arrays are all that annotations need. Get the file from its authors, or, if you "
                "trust it, write what it holds as plain JSON (see `centernet records tubes --help`)."
            )
        return _KNOWN[module, name]


def _plain(value: Any, known: dict[int, Any]) -> Any:
    """The value with arrays in place of their stand-ins; what stands in it many times is looked at once."""
    if id(value) in known:
        return known[id(value)][1]
    if isinstance(value, dict):
        made: Any = {}
        known[id(value)] = value, made
        made.update((_plain(key, known), _plain(one, known)) for key, one in value.items())
    elif isinstance(value, list):
        made = []
        known[id(value)] = value, made
        made.extend(_plain(one, known) for one in value)
    elif isinstance(value, tuple | set):
        made = type(value)(_plain(one, known) for one in value)
        known[id(value)] = value, made
    elif isinstance(value, _Array):
        made = value.value(lambda one: _plain(one, known))
        known[id(value)] = value, made
    elif value is None or isinstance(value, bool | int | float | str | bytes | np.generic):
        made = value
    else:
        raise ValueError(f"a {type(value).__name__}")
    return made
