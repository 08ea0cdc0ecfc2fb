"""The two kinds of failure a user can meet, and the hint that names what was probably meant."""

import difflib
from collections.abc import Iterable


class DataError(ValueError):
    """The work failed on its data: a corrupt file, a box that is not a number, a class nobody declared. Exit code 1."""


class UsageError(ValueError):
    """The call itself was wrong: an unknown setting, a missing file, a model that is not ours. Exit code 2."""


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
