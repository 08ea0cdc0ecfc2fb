"""Whether a network is what its card says: inputs, heads, their channels, and the sizes it takes."""

from typing import Any

import keras

from centernet_tf.model.card import ModelCard
from centernet_tf.model.network import as_argument
from centernet_tf.points.centers import STRIDE
from centernet_tf.points.task import Head
from centernet_tf.points.task_set import TaskSet


def disagreement(network: keras.Model, card: ModelCard) -> str:
    """Says in what a network contradicts its card; "" where it does not. Nothing is computed but shapes."""
    tasks = card.task_set()
    size, stride = (card.input.height, card.input.width), card.input.stride
    if stride % STRIDE:
        return f"it says stride {stride}, which is no multiple of a map's {STRIDE}"
    if size[0] % stride or size[1] % stride:
        return f"it says input {size[0]}x{size[1]}, which are no multiples of its stride {stride}"
    # An odd multiple, for a network of a larger stride may take even ones.
    sides = (3 * stride, 3 * stride)
    for tensor in network.inputs:
        if None not in tensor.shape[-3:-1]:
            sides = tuple(tensor.shape[-3:-1])
            if sides != size:
                return f"it says input {size[0]}x{size[1]}, but the network takes {sides[0]}x{sides[1]} only"
    return _inputs(network, tasks) or _outputs(network, tasks, sides)


def _inputs(network: keras.Model, tasks: TaskSet) -> str:
    said = {name: wanted.channels for name, wanted in tasks.inputs.items()}
    has = {tensor.name: tensor.shape[-1] for tensor in network.inputs}
    # A lone input is given without its name.
    same = list(has.values()) == list(said.values()) if len(has) == 1 else has == said
    return "" if same else f"it says inputs of channels {said}, but the network takes {has}"


def _outputs(network: keras.Model, tasks: TaskSet, sides: tuple[int, int]) -> str:
    frames = {name: len(wanted.frames) for name, wanted in tasks.inputs.items()}
    images = {
        name: keras.KerasTensor((1, *([frames[name]] if frames[name] > 1 else []), *sides, wanted.channels), name=name)
        for name, wanted in tasks.inputs.items()
    }
    try:
        answers = network.compute_output_spec(as_argument(images))
    except Exception as error:  # Whatever a layer raises for a shape that is none of its.
        return f"the network does not take inputs of {sides[0]}x{sides[1]} ({str(error)[:200]})"
    named = answers if isinstance(answers, dict) else {}
    if (said := {head.name for head in tasks.heads}) != set(named):
        return f"it says heads {sorted(said)}, but the network has {sorted(named) or 'none with a name'}"
    each = max(frames.values())
    return next((fault for head in tasks.heads if (fault := _head(head, named[head.name], each, sides))), "")


def _head(head: Head, stacks: Any, frames: int, sides: tuple[int, int]) -> str:
    said = (sides[0] // STRIDE, sides[1] // STRIDE, head.channels * (frames if head.per_frame else 1))
    for stack in stacks if isinstance(stacks, (list, tuple)) and stacks else [None]:
        if head.at_centers:
            shapes = {name: one.shape for name, one in stack.items()} if isinstance(stack, dict) else {}
            shape = (*shapes.get("features", ())[1:3], *shapes.get("bias", ())[-1:])
        else:
            shape = tuple(getattr(stack, "shape", ()))[1:]
        if shape != said:
            return f"it says {said} for head {head.name!r} of inputs {sides}, but the network gives {shape or stack}"
    return ""
