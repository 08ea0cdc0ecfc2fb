"""What a server answered, as arrays that can be relied on; anything else is told in one sentence."""

import json
import reprlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from centernet_tf.exports.answers import BOXES, CLASSES, SCORES, all_answers

MARGIN = 1e-3  # by which rounding may carry fractions and scores over 0 and 1
MOST_TOLD = 300  # characters of a server's own text


def told(text: Any) -> str:
    """A server's text for a message: not too long, and nothing that moves a terminal's cursor."""
    plain = str(text)
    cut = plain[:MOST_TOLD] + ("..." if len(plain) > MOST_TOLD else "")
    return "".join(char if char.isprintable() else " " for char in cut)


def parse_json(body: bytes) -> Any:
    """JSON, or ValueError; also where it is nested too deeply, or has numbers too long to read."""
    try:
        return json.loads(body)
    except RecursionError:
        raise ValueError("JSON nested too deeply") from None


def checked(outputs: Any, count: int) -> dict[str, np.ndarray]:
    """Outputs of the servers of exported models, compared with what `export.answers` says of them.

    Args:
        outputs: {output: values [N, K, ...]} as lists or arrays; outputs that nobody knows are left out.
        count: Images N.

    Returns:
        {output: [N, K, ...] float32}. Rows with a score of 0 may hold anything, for they hold no object.

    Raises:
        ValueError: Something is missing, no number, of another shape, NaN or out of its range; the message says what.
    """
    if not isinstance(outputs, Mapping):
        raise ValueError(f"the outputs are {reprlib.repr(outputs)}, expected lists of numbers by name")
    further = {answer.name: answer for answer in all_answers()}
    if missing := [name for name in (BOXES, CLASSES, SCORES) if name not in outputs]:
        raise ValueError(f"there is no output {missing[0]}, but {reprlib.repr(sorted(map(str, outputs)))}")
    wanted = [name for name in (SCORES, BOXES, CLASSES, *further) if name in outputs]
    found = {name: _array(name, outputs[name], count) for name in wanted}
    objects = found[SCORES].shape[1:2]
    for name, array in found.items():
        if name not in further or further[name].level == "object":
            _check_shape(name, array, (count, *objects), _inner(name, further))
    _check_range(SCORES, found[SCORES], 0, 1)
    real = found[SCORES] > 0
    whole = any(name in further and further[name].kind == "patches" for name in found)  # see `export.answers`
    for name, array in found.items():
        rows = array[real] if array.shape[:2] == real.shape and array.size else array
        unit = not whole if name == BOXES else name in further and further[name].kind in ("scores", "patches", "boxes")
        _check_range(name, rows, *((0, 1) if unit else (-np.inf, np.inf)))
    return found


def _array(name: str, values: Any, count: int) -> np.ndarray:
    try:
        array = np.asarray(values)
    except ValueError:
        raise ValueError(f"{name} has rows of different lengths") from None
    if array.dtype.kind not in "fiu":
        raise ValueError(f"{name} is no array of numbers: {reprlib.repr(values)}")
    if array.ndim < 2 or len(array) != count:
        raise ValueError(f"{name} has shape {array.shape}, expected a row for each of {count} images")
    with np.errstate(over="ignore"):
        return array.astype(np.float32)


def _inner(name: str, further: Mapping[str, Any]) -> tuple[int, ...] | None:
    """Sides behind [N, K] that are the same for all models; of a known last one only, where others differ."""
    if name in further:
        return {"points": (2,), "boxes": (4,)}.get(further[name].kind)
    return (4,) if name == BOXES else ()


def _check_shape(name: str, array: np.ndarray, rows: tuple[int, ...], inner: tuple[int, ...] | None) -> None:
    right = array.shape[:2] == rows
    if array.size and name in (BOXES, CLASSES, SCORES):
        right &= array.shape[2:] == inner
    elif array.size and inner:
        right &= array.ndim > 2 and array.shape[-1:] == inner
    if not right:
        sides = "" if not inner else f" and {inner[-1]} numbers at the end"
        raise ValueError(f"{name} has shape {array.shape}, expected {rows} rows{sides}")


def _check_range(name: str, values: np.ndarray, low: float, high: float) -> None:
    if not np.isfinite(values).all():
        raise ValueError(f"{name} has NaN or infinite values")
    if values.size and not (low - MARGIN <= values.min() and values.max() <= high + MARGIN):
        raise ValueError(f"{name} runs from {values.min():g} to {values.max():g}, expected {low:g} to {high:g}")
