"""One network at one precision on JAX: forward, whole answer and training step, by the number of images.

Run in a process of its own by `gpu`; prints a line of JSON for each row as soon as it is measured. Every row takes
turns with a large product of matrices of the same precision, the peak that it is told as a share of.
"""

import functools
import gc
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras

from centernet_tf.backbones import find_backbone
from centernet_tf.benchmark.multiply_adds import multiply_adds, whole_maps
from centernet_tf.benchmark.programs import device_kind, device_peak, program
from centernet_tf.benchmark.rate import TRAINING, matrix_rate, product, share
from centernet_tf.benchmark.timing import interleaved
from centernet_tf.benchmark.trainers import card_of, noise, trainer_of
from centernet_tf.detector.graph import DetectorGraph
from centernet_tf.errors import UsageError, out_of_memory
from centernet_tf.model.network import build_network

# Keras' policy, and how JAX multiplies 32 bits; a GPU would round them to TF32 by itself, here it does where told to.
PRECISIONS = {
    "float32": ("float32", "float32"),
    "tensorfloat32": ("float32", "tensorfloat32"),
    "bfloat16": ("mixed_bfloat16", None),
}
PARTS = ("forward", "answer", "training")
OBJECTS = 30
SIDES = {"cpu": 1024}  # of the matrices; 8,192 on other devices, which smaller ones do not fill
CALLS = dict[str, Callable[[], Any]]


def set_precision(precision: str) -> None:
    """Of this process."""
    import jax

    policy, products = PRECISIONS[precision]
    keras.config.set_dtype_policy(policy)
    jax.config.update("jax_default_matmul_precision", products)


def matrices(precision: str) -> tuple[Callable[[], Any], int]:
    """A product of matrices of a precision, and their side on this device."""
    side = SIDES.get(device_kind(), 8192)
    return product("bfloat16" if precision == "bfloat16" else "float32", side), side


def rows_of(
    backbone: str, precision: str, size: int, batches: Sequence[int], parts: Sequence[str], rounds: int
) -> Iterator[dict[str, Any]]:
    """Measures one part after the other, each by growing batches.

    Args:
        backbone: Name.
        precision: One of `PRECISIONS`.
        size: Side of the input in pixels.
        batches: Images at a time, fewest first.
        parts: Some of `PARTS`.
        rounds: Runs that count.

    Yields:
        "part", "batch", and either "error" or "ms", "images_per_second", "share" of the peak, "peak_gflops", "mb" that
        the program holds, "device_mb" that the device counted if this row raised it, else None, and of an answer
        "decode", of a training step "render": how much of its time that takes alone.
    """
    set_precision(precision)
    for part in parts:
        full = False
        for batch in batches:
            gc.collect()  # Networks refer to themselves, and the device would keep the last one's weights.
            row: dict[str, Any] = {"part": part, "batch": batch}
            try:
                if full:
                    raise MemoryError("a smaller batch ran out of memory")
                row |= _measured(part, backbone, size, batch, precision, rounds)
            except Exception as error:  # Whatever one row meets, the others are worth their time.
                full = out_of_memory(error)
                row["error"] = reason(error)
            yield row


def reason(error: Exception) -> str:
    """Why a row has no figures, in a line."""
    return "out of memory" if out_of_memory(error) else " ".join(f"{type(error).__name__}: {error}".split())[:200]


def _measured(part: str, backbone: str, size: int, batch: int, precision: str, rounds: int) -> dict[str, Any]:
    before = device_peak()
    calls, megabytes, done = {"forward": forward, "answer": answer, "training": training}[part](backbone, size, batch)
    multiply, side = matrices(precision)
    times = interleaved({**calls, "matrices": multiply}, rounds, warm=2)
    after, took = device_peak(), times[part]
    rate = matrix_rate(times["matrices"], side)
    beside = {name: times[name] / took for name in ("decode", "render") if name in times}
    return {
        "ms": took,
        "images_per_second": 1e3 * batch / took,
        "share": share(done, took, rate),
        "peak_gflops": rate,
        "mb": megabytes,
        "device_mb": None if after is None or after == before else after,
        **beside,
    }


def _values(model: keras.Model) -> tuple[list[Any], list[Any]]:
    """Values of its variables as `stateless_call` takes them: those that train, and the others."""
    trained, fixed = model.trainable_variables, model.non_trainable_variables
    return [one.value for one in trained], [one.value for one in fixed]


def forward(backbone: str, size: int, batch: int) -> tuple[CALLS, float, int]:
    """All maps of normalised images: calls by name, MB, and multiply-adds of the whole batch."""
    network = build_network(backbone, card_of(backbone, size).task_set().heads)
    images = keras.random.normal((batch, size, size, 3), seed=0)

    def run(trained: Any, fixed: Any, images: Any) -> Any:
        return network.stateless_call(trained, fixed, images, training=False)[0]

    arguments = (*_values(network), images)
    made = program(run, arguments)
    products = multiply_adds(network, (size, size, 3)) * batch
    return {"forward": functools.partial(made, *arguments)}, made.megabytes, products


def answer(backbone: str, size: int, batch: int) -> tuple[CALLS, float, int]:
    """Bytes of images to objects in their pixels, likewise; and decoding alone."""
    card = card_of(backbone, size)
    tasks = card.task_set()
    graph = DetectorGraph(build_network(backbone, tasks.heads), tasks, card.input)
    height, width = size * 15 // 16, size * 5 // 4  # 640 x 480 pixels for inputs of 512 x 512
    images = keras.random.uniform((batch, height, width, 3), 0, 255, seed=0)
    sizes = keras.ops.tile(keras.ops.convert_to_tensor([[height, width]], "int32"), (batch, 1))
    inputs = {"images": keras.ops.cast(images, "uint8"), "sizes": sizes}

    def run(trained: Any, fixed: Any, inputs: Any) -> Any:
        return graph.stateless_call(trained, fixed, inputs)[0]

    arguments = (*_values(graph), inputs)
    made = program(run, arguments)
    maps = _noise_like(graph, inputs)
    fit = keras.ops.ones((batch, 4))
    decode = program(lambda maps, fit: graph.find(maps, fit, {}), (maps, fit))
    calls = {"answer": functools.partial(made, *arguments), "decode": functools.partial(decode, maps, fit)}
    counted = whole_maps(graph.network, tasks.heads)
    return calls, made.megabytes, multiply_adds(counted, (size, size, 3)) * batch


def _noise_like(graph: DetectorGraph, inputs: Any) -> Any:
    """Maps of the shapes that the network answers."""
    import jax

    def maps(values: Any, inputs: Any) -> Any:
        with keras.StatelessScope(state_mapping=list(zip(graph.variables, values))):
            return graph.answer(graph.show(inputs)[0])

    shapes = jax.eval_shape(maps, [one.value for one in graph.variables], inputs)
    return jax.tree.map(lambda one: keras.random.normal(one.shape, dtype=one.dtype, seed=1), shapes)


def training(backbone: str, size: int, batch: int) -> tuple[CALLS, float, int]:
    """A step with rendering, Adam and everything between, likewise; and rendering alone.

    The state stays on the device from step to step, as in Keras' `fit`.
    """
    card = card_of(backbone, size)
    trainer = trainer_of(card, compiled=True)
    trainer.optimizer.build(trainer.trainable_variables)
    data = keras.tree.map_structure(keras.ops.convert_to_tensor, noise(card, batch, OBJECTS, rows=32))
    variables = trainer.optimizer.variables, trainer.metrics_variables
    state = (*_values(trainer), *([one.value for one in some] for some in variables))
    # A step gives its state away; what the variables hold must outlive it.
    held = [keras.tree.map_structure(keras.ops.copy, state)]
    made = program(trainer.train_step, (held[0], data), donated=(0,))

    def step() -> Any:
        _, held[0] = made(held[0], data)

    grid = (size // 4, size // 4)
    render = program(lambda rows: trainer.tasks.encode(rows, grid), (data[1],))
    calls = {"training": step, "render": functools.partial(render, data[1])}
    counted = whole_maps(trainer.network, trainer.tasks.heads)
    return calls, made.megabytes, TRAINING * multiply_adds(counted, (size, size, 3)) * batch


def main(words: Sequence[str]) -> None:
    """Prints rows of (backbone, precision, size, batches, parts, rounds) as text."""
    backbone, precision, size, batches, parts, rounds = words
    if int(size) % (stride := find_backbone(backbone).stride):
        raise UsageError(f"gpu: --size {size} is no multiple of {stride}, which {backbone} needs.")
    print(json.dumps({"device": device_kind()}), flush=True)
    for row in rows_of(backbone, precision, int(size), [*map(int, batches.split(","))], parts.split(","), int(rounds)):
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except UsageError as error:
        print(json.dumps({"wrong": str(error)}), flush=True)
