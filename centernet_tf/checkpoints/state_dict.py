"""Reading PyTorch files, without running what is in them."""

import dataclasses
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from centernet_tf.errors import UsageError, out_of_memory

WRAPPERS = ("state_dict", "model", "model_state_dict")
PARALLEL = "module."
STARTS = (b"PK\x03\x04", b"\x80")  # A zip archive, as since PyTorch 1.6, or a pickle, as before.


@dataclasses.dataclass(frozen=True)
class StateDict:
    """The tensors of a checkpoint.

    Attributes:
        tensors: By official name, in the file's order, float32 where they were any floating type.
        notes: What the file holds besides, for people.
    """

    tensors: dict[str, np.ndarray]
    notes: tuple[str, ...] = ()


def read_state_dict(path: str | Path) -> StateDict:
    """Reads a checkpoint in any format PyTorch ever wrote, bare or wrapped, with or without "module." before names.

    Raises:
        UsageError: No such file, not PyTorch's, cut off, holding objects other than tensors (which would have to run
            code to be read), without tensors, or PyTorch is not installed. The message says which and what to do.
    """
    path = Path(path)
    if not path.is_file():
        raise UsageError(f"{path}: no such file. Give a PyTorch checkpoint, such as ctdet_coco_dla_2x.pth.")
    content = _load(path)
    if not isinstance(content, Mapping):
        raise UsageError(f"{path}: holds a {type(content).__name__}, expected a state dict of named tensors.")
    notes = []
    inner = next((name for name in WRAPPERS if isinstance(content.get(name), Mapping)), None)
    if inner:
        others = [str(name) for name in content if name != inner]
        notes = [f"beside {inner}: {', '.join(others)} (not needed)"] if others else []
        content = content[inner]
    tensors, odd = _arrays(path, content)
    if not tensors:
        raise UsageError(
            f"{path}: no tensors in it, only {_names(content) or 'nothing'}. Expected a state dict, bare or as "
            "'state_dict'."
        )
    if odd:
        notes.append(f"no tensors: {', '.join(odd)}")
    return StateDict(tensors, tuple(notes))


def _load(path: Path) -> Any:
    try:
        import torch
    except ImportError:
        raise UsageError(f"{path}: reading it needs PyTorch: pip install 'centernet_tf[torch]'.") from None
    with path.open("rb") as file:
        if not file.read(4).startswith(STARTS):
            raise UsageError(f"{path}: not a PyTorch file. {_advice(path)}")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UsageError(
            f"{path}: refused: it holds objects that could run code when they are read ({_first_line(error)}). Load it "
            "where you trust it and save its tensors alone: torch.save(model.state_dict(), 'tensors.pth')."
        ) from None
    except Exception as error:  # What is in the pickle decides which.
        if out_of_memory(error):
            raise
        raise UsageError(f"{path}: cut off or not a PyTorch file ({_first_line(error)}). {_advice(path)}") from None


def _arrays(path: Path, content: Mapping[Any, Any]) -> tuple[dict[str, np.ndarray], list[str]]:
    import torch

    tensors, odd = {}, []
    for name, value in content.items():
        name = str(name)
        if name.startswith(PARALLEL):
            name = name.removeprefix(PARALLEL)
        if isinstance(value, torch.Tensor):
            tensors[name] = _array(path, name, value)
        else:
            odd.append(name)
    return tensors, odd


def _array(path: Path, name: str, value: Any) -> np.ndarray:
    """The numbers of a tensor. Raises UsageError where it has none that can be read as they stand."""
    import torch

    kinds = {"meta": value.is_meta, "quantized": value.is_quantized, value.layout: value.layout != torch.strided}
    kinds[value.dtype] = value.dtype.is_complex
    if kind := next((kind for kind, held in kinds.items() if held), None):
        raise UsageError(
            f"{path}: {name[:100]!r} is a {kind} tensor, expected plain numbers. Load the model where it was made, "
            "undo that (dequantize(), to_dense()), and save its state_dict() again."
        )
    if value.numel() and value.numel() * value.element_size() > value.untyped_storage().nbytes():
        raise UsageError(
            f"{path}: {name[:100]!r} says it has shape {list(value.shape)}, more than what is stored of it. Do not use "
            "this file."
        )
    try:
        value = value.detach()
        # A view may say that its numbers are conjugated or negated, which NumPy does not know.
        return (value.float() if value.is_floating_point() else value).resolve_conj().resolve_neg().numpy()
    except (RuntimeError, TypeError, NotImplementedError) as error:
        raise UsageError(f"{path}: {name[:100]!r} cannot be read as numbers ({_first_line(error)}).") from None


def _names(content: Mapping[Any, Any]) -> str:
    return ", ".join(map(str, list(content)[:5]))


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # Of its two paragraphs PyTorch's second says what was refused; the first is advice to switch the check off.
    told = next((line for line in lines if "Unsupported" in line or "GLOBAL" in line), lines[0] if lines else "")
    return told.removeprefix("WeightsUnpickler error: ")[:200] or type(error).__name__


def _advice(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(64).lstrip().lower()
    if start.startswith((b"<", b"{")) or path.stat().st_size == 0:
        return "It looks like a page or message that was saved instead of the file; download it again."
    return "Copy or download it again."
