"""What tracking costs: the loop over frames beside plain detection, the association alone, and memory over time."""

import functools
import gc
import json
import time

import numpy as np

from centernet_tf.benchmark.timing import highest_memory, in_fresh_process, interleaved
from centernet_tf.detector.detector import Detector
from centernet_tf.detector.stream import Stream
from centernet_tf.model.card import InputCard, ModelCard
from centernet_tf.model.network import build_network
from centernet_tf.tasks.action import link
from centernet_tf.tasks.reid import associate as by_look
from centernet_tf.tasks.track import associate

SIZE = (512, 512)
OBJECTS = 100
# (backbone, objects in each frame)
CASES = (("mobilenetv2_fpn", 20), ("mobilenetv2_fpn", 100), ("resnet18", 20), ("dla34", 20))
# (backbone, `action.reduce`)
CLIPS = (("mobilenetv2_fpn", None), ("mobilenetv2_fpn", 16), ("dla34", None))
FRAMES = 10_000


def detector_of(
    task: str, backbone: str, size: tuple[int, int] = SIZE, objects: int = OBJECTS, **settings: float | None
) -> Detector:
    """A fresh network, each cell of which is an object of probability 0.1, so that as many are found as can be."""
    card = ModelCard(
        tasks={task: settings},
        backbone=backbone,
        classes=("person",),
        max_objects=objects,
        input=InputCard(height=size[0], width=size[1], stride=32),
    )
    tasks = card.task_set()
    return Detector(build_network(backbone, tasks.heads, tasks.inputs, card.head_channels), card)


def association() -> float:
    """Median milliseconds for 100 objects of a frame and 100 that are remembered, all of one class, side by side."""
    random = np.random.default_rng(0)
    corners = random.uniform(0, 900, (OBJECTS, 2)).astype(np.float32)
    boxes = np.concatenate([corners, corners + random.uniform(60, 120, (OBJECTS, 2)).astype(np.float32)], axis=1)
    found = {
        "boxes": boxes,
        "scores": np.sort(random.uniform(0.4, 1, OBJECTS).astype(np.float32))[::-1],
        "classes": np.zeros(OBJECTS, np.int64),
        "points": (boxes[:, :2] + boxes[:, 2:]) / 2,
        "displacements": random.normal(0, 20, (OBJECTS, 2)).astype(np.float32),
    }
    rules = associate.Rules()
    _, memory = associate.step(found, associate.Memory.empty(), rules)
    return interleaved({"step": lambda: associate.step(found, memory, rules)}, rounds=200)["step"]


def association_by_look() -> float:
    """Median milliseconds for 100 objects of a frame and 150 that are remembered, with embeddings of 128 numbers."""
    random, known = np.random.default_rng(0), 150
    corners, looks = random.uniform(0, 1800, (known, 2)), random.normal(size=(known, 128))
    found = {
        "boxes": np.concatenate([corners, corners + random.uniform(40, 120, (known, 2))], axis=1),
        "scores": random.uniform(0.5, 1, known),
        "classes": np.zeros(known, np.int64),
        "embeddings": looks,
    }
    rules = by_look.Rules()
    memory = by_look.step(found, by_look.Memory.empty(), rules)[2]
    seen = {name: values[:OBJECTS] for name, values in found.items()}
    return interleaved({"step": lambda: by_look.step(seen, memory, rules)}, rounds=200)["step"]


def linking(frames: int = FRAMES) -> float:
    """Seconds of processor time for the tubes of a video, of 24 classes, with 100 tubelets of 30 objects a frame."""
    random, windows = np.random.default_rng(0), []
    middle, kinds = random.uniform(20, 300, (30, 1, 2)), random.integers(0, 24, 30)
    for start in range(200):
        who = random.integers(0, 30, OBJECTS)
        sway = 40 * np.sin((start + np.arange(7))[None, :, None] / 50 + who[:, None, None])
        place = middle[who] + sway + random.normal(0, 2, (OBJECTS, 7, 2))
        tubelets = np.concatenate([place - 20, place + 20], axis=2).astype(np.float32)
        windows.append({"tubelets": tubelets, "scores": random.random(OBJECTS), "classes": kinds[who]})
    rules, memory, began = link.Rules(), link.Memory.empty(7), time.process_time()
    for number in range(frames):
        memory = link.step(windows[number % len(windows)], memory, rules)[1]
    link.finish(memory, rules)
    return time.process_time() - began


def clips(backbone: str, reduce: int | None, rounds: int = 15) -> dict[str, float]:
    """Median milliseconds of one pass of a detector, and of the next frame of a video, seen in clips of seven."""
    frame = np.random.default_rng(0).integers(0, 256, (*SIZE, 3)).astype(np.uint8)
    plain = detector_of("detect", backbone)
    video = Stream(detector_of("action", backbone, reduce=reduce), 0.01, {})
    for _ in range(7):  # after which each frame is answered
        list(video.push([frame]))
    variants = {"detect": lambda: plain(frame, threshold=0.01), "frame": lambda: list(video.push([frame]))}
    return interleaved(variants, rounds)


def memory_after(counts: tuple[int, ...]) -> list[float]:
    """Highest memory of this process in MB after so many frames of one video, `OBJECTS` objects in each."""
    tracker = detector_of("track", "mobilenetv2_fpn:0.35", (64, 64), threshold=0.01, max_age=30).tracker()
    random, highest, done = np.random.default_rng(0), [], 0
    for count in counts:
        for _ in range(count - done):
            tracker.step(random.integers(0, 256, (64, 64, 3)).astype(np.uint8))
        done = count
        gc.collect()
        highest.append(highest_memory())
    return highest


def measure() -> list[tuple[str, ...]]:
    """Rows of (what, backbone, detection, tracking, ratio)."""
    frame = np.random.default_rng(0).integers(0, 256, (*SIZE, 3)).astype(np.uint8)
    rows = []
    for backbone, objects in CASES:
        plain = detector_of("detect", backbone, objects=objects)
        tracker = detector_of("track", backbone, objects=objects, threshold=0.01).tracker()
        variants = {
            "detect": functools.partial(plain, frame, threshold=0.01),
            "track": functools.partial(tracker.step, frame),
        }
        times = interleaved(variants)
        told = [f"{times[name]:.0f} ms, {1e3 / times[name]:.1f} frames/s" for name in ("detect", "track")]
        rows.append(
            (f"one frame of 512x512, {objects} objects", backbone, *told, f"{times['track'] / times['detect']:.3f}")
        )
    for backbone, reduce in CLIPS:
        times = clips(backbone, reduce)
        what = "one frame of 512x512, clips of 7" + (f", features reduced to {reduce}" if reduce else "")
        told = [f"{times[name]:.0f} ms, {1e3 / times[name]:.1f} frames/s" for name in ("detect", "frame")]
        rows.append((what, backbone, *told, f"{times['frame'] / times['detect']:.3f}"))
    rows.append(("association of 100 with 100", "", "", f"{association():.2f} ms", ""))
    rows.append(("by appearance, 100 with 150", "", "", f"{association_by_look():.2f} ms", ""))
    rows.append((f"tubes of {FRAMES} frames, 100 tubelets each", "", "", f"{linking():.1f} s", ""))
    early, late = in_fresh_process(__name__)["MB"]
    rows.append((f"peak memory after {FRAMES // 10} / {FRAMES} frames", "", "", f"{early:.0f} / {late:.0f} MB", ""))
    return rows


if __name__ == "__main__":
    print(json.dumps({"MB": memory_after((FRAMES // 10, FRAMES))}))
