"""The deformable layer of one shape on JAX, or the same by torchvision's operator; time and memory.

Run in a process of its own by `gpu`, so that neither library holds the other's memory. 32 bits, without TF32.
"""

import functools
import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

from centernet_tf.benchmark.deformable import has_torchvision, layers_of, torch_call
from centernet_tf.benchmark.on_device import reason, set_precision
from centernet_tf.benchmark.programs import device_kind, program
from centernet_tf.benchmark.timing import interleaved

WAYS = ("forward", "backward")


def by_jax(shape: tuple[int, ...], rounds: int) -> dict[str, Any]:
    """{"on": device, WAY: {"ms", "mb"} of the layer, of which backward is forward too}."""
    import jax

    set_precision("float32")
    images, layers = layers_of(shape)
    layer = layers["deformable"]
    weights = [weight.value for weight in layer.weights]

    def forward(weights: Any, images: Any) -> Any:
        return layer.stateless_call(weights, [], images)[0]

    backward = jax.grad(lambda *given: forward(*given).sum(), (0, 1))
    arguments = (weights, jax.device_put(images))
    made = {"forward": program(forward, arguments), "backward": program(backward, arguments)}
    times = interleaved({way: functools.partial(one, *arguments) for way, one in made.items()}, rounds, warm=2)
    return {"on": device_kind(), **{way: {"ms": times[way], "mb": made[way].megabytes} for way in WAYS}}


def by_torchvision(shape: tuple[int, ...], rounds: int) -> dict[str, Any]:
    """Likewise; memory only where PyTorch counts it."""
    if not has_torchvision():
        return {"error": "not installed, or not for this PyTorch"}
    import torch

    cuda = torch.cuda.is_available()
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    images, layers = layers_of(shape)
    found: dict[str, Any] = {"on": torch.cuda.get_device_name() if cuda else "cpu"}
    for way in WAYS:
        device = "cuda" if cuda else "cpu"
        call = torch_call(images, layers["deformable"].get_weights(), way == "backward", device)
        ms = interleaved({way: _ended(call, cuda)}, rounds, warm=2)[way]
        found[way] = {"ms": ms, "mb": torch.cuda.max_memory_allocated() / 1e6 if cuda else None}
    return found


def _ended(call: Callable[[], Any], cuda: bool) -> Callable[[], None]:
    """The call, which ends when its work on the device has ended."""
    import torch

    def run() -> None:
        call()
        if cuda:
            torch.cuda.synchronize()

    return run


def main(words: Sequence[str]) -> None:
    """Prints what (kind, rounds, *shape) takes, or why it does not run."""
    kind, rounds, *shape = words
    try:
        made = {"jax": by_jax, "torchvision": by_torchvision}[kind](tuple(map(int, shape)), int(rounds))
    except Exception as error:  # The other one is worth its time.
        made = {"error": reason(error)}
    print(json.dumps(made))


if __name__ == "__main__":
    main(sys.argv[1:])
