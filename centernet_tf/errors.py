"""The two kinds of failure a user can meet, and the hint that names what was probably meant."""

import difflib
import re
import reprlib
from collections.abc import Iterable


class DataError(ValueError):
    """The work failed on its data: a corrupt file, a box that is not a number, a class nobody declared. Exit code 1."""


class UsageError(ValueError):
    """The call itself was wrong: an unknown setting, a missing file, a model that is not ours. Exit code 2."""


def brief(value: object, width: int = 60) -> str:
    """What came, for a message: its repr, whose work and length are bounded however large the value is."""
    short = reprlib.Repr()
    short.maxlevel, short.maxdict, short.maxlist, short.maxtuple, short.maxset = 4, 20, 20, 20, 20
    short.maxstring = short.maxlong = short.maxother = width
    text = short.repr(value)
    return text if len(text) <= width else f"{text[: width - 3]}..."


def closest(name: str, known: Iterable[str]) -> str:
    """Says which known name was probably meant.

    Args:
        name: What came.
        known: What would have been right.

    Returns:
        " Did you mean 'x'?" with a leading space, or "" where nothing is near.
    """
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" Did you mean {near[0]!r}?" if near else ""


# As TensorFlow, JAX, PyTorch, OpenCV, ONNX Runtime and C++ say it; none of them is imported for that.
_NO_MEMORY = re.compile(
    r"ResourceExhausted|RESOURCE_EXHAUSTED|OutOfMemory|[Oo]ut of memory|Insufficient memory|bad_alloc|"
    r"[Ff]ailed to allocate|OOM when|Cannot allocate memory"
)


def out_of_memory(error: BaseException) -> bool:
    """Whether an error of any library says that the memory, of the machine or of its accelerator, did not suffice."""
    if isinstance(error, (DataError, UsageError)):
        return False
    return isinstance(error, MemoryError) or bool(_NO_MEMORY.search(f"{type(error).__name__}: {error}"[:2000]))
