"""Prints the tables: `python -m centernet_tf.benchmark [input render step decode keypoints kitti deformable tracking
identities masks interactions networks gpu growth looks writing]`.

Words after `networks` choose among them: `networks resnet18 dla34 1 --precision float32 --cores 1`, backbones and batch
sizes; `networks --help` lists the options. `looks` needs words: records of videos, and models that track. `gpu` is
measured where it is named: networks and layers on the device of Keras' JAX backend, without TensorFlow; `gpu --help`.
`growth --objects 30 300` measures one thing that grows instead of all; `growth --help`.
Words after `writing` are numbers of images.
"""

import importlib
import sys

from rich.console import Console
from rich.table import Column, Table

from centernet_tf.errors import UsageError, closest

TABLES = {
    "input": (
        "Input pipeline, 640x480 JPEG to 512x512, all augmentation; processor time",
        ("", "ms of one core / image", "images / s / core", "times the usual"),
    ),
    "render": (
        "Rendering heatmaps, 16 images, 80 classes, 128x128 cells",
        (
            "objects / image",
            "NumPy, ms / image",
            "graph, ms / image",
            "XLA, ms / image",
            "peak MB a batch, graph / XLA",
        ),
    ),
    "step": ("Training step on this machine's processor", ("", "precision", "ms / step", "images / s")),
    "decode": (
        "Decode beside forward, 512x512, batch size 1, 80 classes, processor",
        ("backbone", "forward, ms", "decode, ms", "decode / forward"),
    ),
    "keypoints": (
        "Decode of keypoints, 512x512, batch size 1, one core",
        ("task", "keypoints", "objects", "decode, ms"),
    ),
    "kitti": (
        "KITTI's metric: 3 classes, 4 difficulties; in the image, orientation, bird's-eye view, 3D",
        ("frames", "objects / frame", "detections / frame", "gather, s", "score, s", "peak MB"),
    ),
    "deformable": (
        "Deformable convolution beside a plain 3x3 one",
        (
            "shape",
            "mode",
            "",
            "forward, ms",
            "x plain",
            "and backward, ms",
            "x plain",
            "peak MB, forward / and backward",
        ),
    ),
    "tracking": (
        "Tracking beside plain detection, one frame after another",
        ("", "backbone", "detection", "tracking", "tracking / detection"),
    ),
    "identities": (
        "Training step with identities beside plain detection",
        ("", "ms / step", "x detection", "peak MB"),
    ),
    "masks": (
        "Masks beside plain detection, 512x512, 80 classes, 100 objects an image",
        ("", "ms", "beyond detection, ms", "x detection"),
    ),
    "interactions": (
        "Decode of pairs of objects, 512x512, 80 classes, 117 verbs, 100 objects, 100 verb points, one core",
        ("", "ms", "beyond peaks of verbs, ms"),
    ),
    "networks": (
        "Networks, 512x512 or --size, 80 classes, beside the rate at which this machine multiplies matrices",
        (
            *("backbone", "parameters, M", "multiply-adds, G", "batch", "mode", "work"),
            *("ms", "images / s", "peak MB", "matrices, GFLOP/s", "share of it"),
        ),
    ),
    "gpu": (
        "Networks on JAX' device, beside its own matrices; the deformable layer beside torchvision's",
        ("", "precision", "batch", "part", "ms", "images / s", "of the peak", "MB", "of its time; beside"),
    ),
    "growth": (
        "How cost grows with records, objects, pixels and images at a time",
        ("", "how many", "work", "ms", "ms / unit", "peak MB"),
    ),
    "looks": (
        "Who is who in videos: of everyone, of whom was away for five frames or more, and retrieval by looks",
        (
            "",
            *("MOTA", "IDF1", "HOTA", "switches"),
            *("away: MOTA", "IDF1", "HOTA", "switches"),
            *("mAP", "by chance"),
        ),
    ),
    "writing": (
        "Writing records, drawn images of 64x64, two threads or two processes",
        ("runner", "images", "images / s", "processor, s", "peak MB of all processes"),
    ),
}
CHOOSING = ("networks", "gpu", "growth", "looks", "writing")  # The tables that take words of their own.
NEEDING = ("looks",)  # And those that cannot do without.
ASKED = (*NEEDING, "gpu")  # Those that are measured where they are named; one needs a device of its own.


def main(names: list[str]) -> None:
    """Measures and prints; without names, everything."""
    wanted: dict[str, list[str]] = {} if names else {name: [] for name in TABLES if name not in ASKED}
    for name in names:
        if name in TABLES:
            wanted[name] = []
        elif wanted and (last := list(wanted)[-1]) in CHOOSING:
            wanted[last].append(name)
        else:
            raise UsageError(f"Unknown benchmark {name!r}.{closest(name, TABLES)} Known: {', '.join(TABLES)}.")
    # Where nothing says how wide the output is, names would be cut at 80 columns.
    console = Console(width=None if sys.stdout.isatty() else 140)
    for name, words in wanted.items():
        title, columns = TABLES[name]
        table = Table(Column(columns[0], no_wrap=True), *columns[1:], title=title)  # A cut name is no name.
        measure = importlib.import_module(f"centernet_tf.benchmark.{name}").measure
        for row in measure(words) if words or name in NEEDING else measure():
            table.add_row(*row)
        console.print(table)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except UsageError as error:
        raise SystemExit(f"benchmark: {error}") from None
