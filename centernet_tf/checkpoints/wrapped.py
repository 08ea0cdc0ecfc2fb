"""Names in checkpoints whose network is a trunk and its heads wrapped in a larger one, told as of the network alone."""

import re
from collections.abc import Mapping
from typing import TypeVar

Value = TypeVar("Value")

HEADS = "branch."  # of MOC, whose files alone begin names like this
# What stands before names, and what is left of it. The trunk of its residual networks keeps its neck apart.
STARTS = ((r"branch\.", ""), (r"backbone\.deconv_layer\.deconv_layers\.", "deconv_layers."), (r"backbone\.", ""))


def unwrapped(tensors: Mapping[str, Value]) -> dict[str, Value]:
    """The same tensors, by the names that CenterNet's own files have for them; others keep theirs."""
    if not any(name.startswith(HEADS) for name in tensors):
        return dict(tensors)
    return {_plain(name): value for name, value in tensors.items()}


def _plain(name: str) -> str:
    for start, rest in STARTS:
        if re.match(start, name):
            return re.sub(f"^{start}", rest, name)
    return name
