"""The deformable convolution beside a plain one, and beside torchvision's operator where that is installed."""

import json
import sys
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from centernet_tf.benchmark.modes import modes, prepared
from centernet_tf.benchmark.timing import PeakMemory, in_fresh_process, interleaved
from centernet_tf.layers.deformable import DeformableConv2D

# Batch, height, width, channels, filters: the last neck layer at 512x512 input, and wide ones in training.
SHAPES = ((1, 128, 128, 64, 64), (8, 32, 32, 512, 256), (8, 32, 32, 512, 512))
TORCH = "torchvision"


def measure() -> list[tuple[str, ...]]:
    """Rows of (shape, mode, layer, forward ms, x plain, forward and backward ms, x plain, peak MB of both)."""
    compiled = [mode for mode in modes() if mode != "eager"]
    with_torch = [TORCH] if has_torchvision() else []
    rows = []
    for shape in SHAPES:
        title = "{}x{}x{}x{} -> {}".format(*shape)
        given = [str(part) for part in shape]
        times = in_fresh_process(__name__, "times", *given)
        for mode in [*compiled, *with_torch]:
            for kind in ("plain", "deformable"):
                row = [title, mode, kind]
                for way in ("forward", "backward"):
                    ms = times[f"{mode} {kind} {way}"]
                    row += [f"{ms:.1f}", f"{ms / times[f'{mode} plain {way}']:.1f}"]
                # What was once allocated stays, so a peak shows in the first run of a process only.
                peaks = [in_fresh_process(__name__, mode, kind, way, *given)["peak"] for way in ("forward", "backward")]
                rows.append((*row, " / ".join(f"{peak:.0f}" for peak in peaks)))
    return rows


def layers_of(shape: tuple[int, ...]) -> tuple[np.ndarray, dict[str, keras.layers.Layer]]:
    """Images [B, H, W, C] of a shape (B, H, W, C, filters), and {"plain", "deformable": layer}, all of them noise."""
    *size, filters = shape
    random = np.random.default_rng(0)
    images = random.normal(size=size).astype(np.float32)
    made = {"plain": keras.layers.Conv2D(filters, 3, padding="same"), "deformable": DeformableConv2D(filters)}
    for layer in made.values():
        layer.build((None, None, None, size[-1]))
        # Offsets of about a pixel, so that samples are as scattered as in a trained network.
        spread = 1 / np.sqrt(9 * size[-1])
        layer.set_weights([random.normal(0, spread, weight.shape) for weight in layer.weights])
    return images, made


def calls(shape: tuple[int, ...], mode: str) -> dict[str, Callable[[], Any]]:
    """{"plain forward", "plain backward", "deformable forward", "deformable backward": call} in one mode."""
    images, layers = layers_of(shape)
    return {
        f"{kind} {way}": (
            torch_call(images, layer.get_weights(), way == "backward")
            if mode == TORCH
            else prepared(layer, images, mode, way == "backward")
        )
        for kind, layer in layers.items()
        for way in ("forward", "backward")
    }


def has_torchvision() -> bool:
    """Whether its operator can be called here."""
    try:
        from torchvision.ops import deform_conv2d  # noqa: F401
    except (ImportError, OSError, RuntimeError):  # Not there, or made for another PyTorch.
        return False
    return True


def torch_call(images: np.ndarray, weights: list[np.ndarray], backward: bool, device: str = "cpu") -> Callable[[], Any]:
    """The same convolution of the same numbers by PyTorch: plain of two weights, deformable of four."""
    import torch
    from torchvision.ops import deform_conv2d

    def tensor(array: np.ndarray, *order: int) -> Any:
        made = torch.tensor(np.ascontiguousarray(array.transpose(order) if order else array))
        return made.to(device).requires_grad_(backward)

    images = tensor(images, 0, 3, 1, 2)
    weights = [tensor(weight, 3, 2, 0, 1) if weight.ndim == 4 else tensor(weight) for weight in weights]

    def forward() -> Any:
        if len(weights) == 2:
            return torch.conv2d(images, *weights, padding=1)
        kernel, bias, *predictor = weights
        moves = torch.conv2d(images, *predictor, padding=1)
        return deform_conv2d(images, moves[:, :18], kernel, bias, padding=1, mask=moves[:, 18:].sigmoid())

    def run() -> Any:
        if not backward:
            with torch.no_grad():
                return forward()
        return torch.autograd.grad(forward().sum(), [images, *weights])

    return run


def times(shape: tuple[int, ...]) -> dict[str, float]:
    """{"MODE KIND WAY": median ms}, forward calls in turn, then backward calls in turn."""
    names = [mode for mode in modes() if mode != "eager"] + ([TORCH] if has_torchvision() else [])
    made = {f"{mode} {name}": call for mode in names for name, call in calls(shape, mode).items()}
    found = {}
    for way in ("forward", "backward"):
        chosen = {name: call for name, call in made.items() if name.endswith(way)}
        found |= interleaved(chosen, rounds=9, warm=2)
    return found


def peak(shape: tuple[int, ...], mode: str, call: str) -> dict[str, float]:
    """MB above the start in the first runs of one call."""
    run = calls(shape, mode)[call]
    with PeakMemory() as memory:
        for _ in range(2):
            run()
    return {"peak": memory.megabytes}


if __name__ == "__main__":
    given = tuple(int(word) for word in sys.argv[-5:])
    print(json.dumps(times(given) if sys.argv[1] == "times" else peak(given, sys.argv[1], " ".join(sys.argv[2:4]))))
