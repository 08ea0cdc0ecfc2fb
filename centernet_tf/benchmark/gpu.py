"""A GPU, or whatever JAX runs on, measured by one command: networks at three precisions, and the deformable layer.

`python -m centernet_tf.benchmark gpu` needs neither TensorFlow nor tf.data. Each network at each precision runs in a
process of its own, which ends with its memory; what one of them cannot do is told in its row, and the rest goes on.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from centernet_tf.benchmark.options import Options, positive
from centernet_tf.errors import UsageError
from centernet_tf.host.files import write_json

NETWORKS = ("resnet18_dcn", "dla34_dcn", "hourglass104", "mobilenetv2_fpn")
PRECISIONS = ("float32", "tensorfloat32", "bfloat16")
PARTS = ("forward", "answer", "training")
LAYER = "layer"
# Batch, height, width, channels, filters: the last joint of dla34_dcn at 512x512, and wide ones deeper in.
SHAPES = ("8x128x128x64x64", "8x64x64x128x128", "8x32x32x512x256")


def options_of(words: Sequence[str]) -> argparse.Namespace:
    """Reads what is behind the table's name.

    Raises:
        UsageError: An option or a value is unknown.
    """
    parser = Options("gpu", __doc__)
    parser.add_argument("--network", nargs="+", default=NETWORKS, help="backbones")
    parser.add_argument("--batch", nargs="+", type=positive, default=(1, 8, 32, 128), help="images at a time")
    parser.add_argument("--precision", nargs="+", choices=PRECISIONS, default=PRECISIONS)
    parser.add_argument("--part", nargs="+", choices=(*PARTS, LAYER), default=(*PARTS, LAYER), help="what to measure")
    parser.add_argument("--size", type=positive, default=512, help="side of the input in pixels")
    parser.add_argument("--shape", nargs="+", type=_shape, default=SHAPES, help="BxHxWxCxF of the deformable layer")
    parser.add_argument("--rounds", type=positive, default=9, help="runs whose median is told")
    parser.add_argument("--json", help="file for all that was measured, written after each row")
    return parser.parse_args(list(words))


def _shape(text: str) -> str:
    sides = text.split("x")
    if len(sides) != 5 or not all(side.isdigit() and int(side) for side in sides):
        raise argparse.ArgumentTypeError(f"{text!r} is no shape such as {SHAPES[0]}")
    return text


def measure(words: Sequence[str] = ()) -> list[tuple[str, ...]]:
    """Rows of (what, precision, batch, part, ms, images / s, share of the peak, MB, what is beside it).

    Args:
        words: As `options_of` reads them.

    Raises:
        UsageError: As `options_of`; or a backbone is unknown or does not take this size.
    """
    options = options_of(words)
    told: dict[str, Any] = {"size": options.size, "rows": []}
    for row in _rows(options):
        if "device" in row:
            told["device"] = row.pop("device")
        if row:
            told["rows"].append(row)
            print(_line(row), file=sys.stderr, flush=True)
        if options.json:
            write_json(options.json, told)
    return [_shown(row) for row in told["rows"]]


def _rows(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    parts = [part for part in PARTS if part in options.part]
    for network in options.network if parts else ():
        for precision in options.precision:
            case = {"network": network, "precision": precision}
            batches = ",".join(map(str, sorted(set(options.batch))))
            words = (network, precision, str(options.size), batches, ",".join(parts), str(options.rounds))
            for row in _process("on_device", *words):
                yield row if "device" in row else {**case, **row}
    for shape in options.shape if LAYER in options.part else ():
        found = {}
        for kind in ("jax", "torchvision"):
            found[kind] = next(_process("gpu_layer", kind, str(options.rounds), *shape.split("x")))
        yield {"shape": shape, **found}


def _process(module: str, *words: str) -> Iterator[dict[str, Any]]:
    """What a part of the package prints as lines of JSON, while it runs; and why it ended, if not well.

    Raises:
        UsageError: It says that something else was wanted than there is.
    """
    command = [sys.executable, "-m", f"centernet_tf.benchmark.{module}", *words]
    environment = os.environ | {"KERAS_BACKEND": "jax"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as running:
        for line in running.stdout:
            if line.startswith("{"):
                row = json.loads(line)
                if "wrong" in row:
                    raise UsageError(row["wrong"])
                yield row
    if running.returncode:
        yield {"error": f"ended with exit code {running.returncode}"}


def _line(row: dict[str, Any]) -> str:
    return " ".join(one for one in _shown(row) if one)


def _shown(row: dict[str, Any]) -> tuple[str, ...]:
    """A row as text."""
    if "shape" in row:
        return _layer_shown(row)
    case = (row["network"], row["precision"], str(row.get("batch", "")), row.get("part", ""))
    if "error" in row:
        return (*case, row["error"], "", "", "", "")
    beside = [f"{name} {row[name]:.1%}" for name in ("decode", "render") if name in row]
    speed = (f"{row['ms']:.2f}", f"{row['images_per_second']:.1f}", f"{row['share']:.2f}")
    return (*case, *speed, f"{row['device_mb'] or row['mb']:.0f}", *(beside or [""]))


def _layer_shown(row: dict[str, Any]) -> tuple[str, ...]:
    """Forward / forward and backward of the deformable layer, and how many times torchvision's time that is."""
    case = (f"deformable {row['shape']}", "float32", row["shape"].split("x")[0], "forward / and backward")
    own, other = row["jax"], row["torchvision"]
    if "error" in own:
        return (*case, own["error"], "", "", "", "")
    both = [own["forward"], own["backward"]]
    times, memory = (" / ".join(f"{one[name]:.{digits}f}" for one in both) for name, digits in (("ms", 2), ("mb", 0)))
    beside = f"torchvision: {other['error']}" if "error" in other else _compared(own, other)
    return (*case, times, "", "", memory, beside)


def _compared(own: dict[str, Any], other: dict[str, Any]) -> str:
    ratios = " / ".join(f"{own[way]['ms'] / other[way]['ms']:.2f}" for way in ("forward", "backward"))
    return f"{ratios} times torchvision's on {other['on']}"
