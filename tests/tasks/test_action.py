"""Action tubelets: targets, losses with gradients and decoding are the original's; what joins a window's boxes."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from centernet_tf.data import example
from centernet_tf.data.augment import Augmentation
from centernet_tf.data.sample import Sampler
from centernet_tf.data.stretched import Cut
from centernet_tf.errors import UsageError
from centernet_tf.losses import whole_map
from centernet_tf.points.centers import STRIDE, Centers
from centernet_tf.properties.tracks import LABEL, Tracks
from centernet_tf.tasks import build_tasks
from centernet_tf.tasks.action import Action, decode, join, targets

FOLDER = Path(__file__).parents[1] / "golden" / "points"
OFFICIAL = {"heatmap": "hm", "movement": "mov", "size": "wh"}
OFFSETS = tuple(range(-3, 4))


def golden(name):
    with np.load(FOLDER / f"moc-{name}.npz") as file:
        arrays = dict(file)
    return arrays, json.loads(arrays.pop("meta").tobytes())


def numpy_of(values):
    return keras.tree.map_structure(ops.convert_to_numpy, values)


def nhwc(maps):
    return np.moveaxis(maps, 1, -1)


def window_of(arrays, start, frames=7):
    """Rows of the frames of a golden sample, in pixels of the images: every tube is somebody."""
    rows = {}
    for offset, number in zip(range(-(frames // 2), frames), range(start, start + frames)):
        tubes = {name: tube for name, tube in arrays.items() if name.startswith("tube/")}
        shown = [
            (row[1:], int(name.split("/")[1]), identity)
            for identity, (name, tube) in enumerate(tubes.items())
            for row in tube
            if row[0] == number
        ]
        boxes, classes, ids = zip(*shown) if shown else ([], [], [])
        rows[offset] = {
            "boxes": np.array(boxes, np.float32).reshape(-1, 4),
            "classes": np.array(classes, np.int32),
            "track_ids": np.array(ids, np.int64),
            "crowd": np.zeros(len(ids), bool),
            "ignored": np.zeros(len(ids), bool),
        }
    return rows


def as_batch(rows, length=128):
    count = len(rows["boxes"])
    batch = {name: np.zeros((1, length, *values.shape[1:]), values.dtype) for name, values in rows.items()}
    for name, values in rows.items():
        batch[name][0, :count] = values
    return {**batch, "valid": np.arange(length)[None] < count}


def listed(arrays, prefix):
    """The golden targets of one image's objects, sorted: cell, movement, size, and the cell of each frame."""
    mask = arrays[f"{prefix}/mask"] > 0
    parts = [arrays[f"{prefix}/{name}"][mask] for name in ("index", "mov", "wh", "index_all")]
    return sorted((int(one), *mov.tolist(), *wh.tolist(), *cells[::2].tolist()) for one, mov, wh, cells in zip(*parts))


def check_targets(batch, arrays, prefix, size):
    """Compares targets of padded rows in pixels of the input with those of a golden sample."""
    tasks = build_tasks({"action": Action()}, Centers(21, max_objects=128))
    found = numpy_of(tasks.encode(batch, (size[0] // STRIDE, size[1] // STRIDE)))
    np.testing.assert_allclose(found["heatmap"]["heatmap"][0], np.moveaxis(arrays[f"{prefix}/hm"], 0, -1), atol=1e-4)
    mask = found["movement"]["mask"][0, :, 0] > 0
    sizes = found["size"]["value"].reshape(128, 14)
    cells = (found["size"]["index"].reshape(128, 7) - np.arange(7)) // 7
    ours = sorted(
        (int(index), *mov.tolist(), *wh.tolist(), *place.tolist())
        for index, mov, wh, place in zip(
            found["movement"]["index"][0][mask], found["movement"]["value"][0][mask], sizes[mask], cells[mask]
        )
    )
    np.testing.assert_allclose(np.array(ours), np.array(listed(arrays, prefix)), atol=2e-4)


def test_targets_equal_the_original():
    arrays, meta = golden("targets-plain")
    (sample,), (height, width) = meta["samples"], meta["frame_hw"]
    rows = join.join(window_of(arrays, sample["start"]), OFFSETS)
    assert len(rows["boxes"]) == sample["objects"] == 4
    scale = np.array([meta["resize"][1] / width, meta["resize"][0] / height] * 2, np.float32)
    rows = {**rows, "boxes": rows["boxes"] * scale, "tubelets": rows["tubelets"] * scale}
    check_targets(as_batch(rows), arrays, "0", meta["resize"])


def stored(rows, size):
    """Shape and lists of a frame of records."""
    height, width = size
    sides = dict(zip(example.SIDES, (rows["boxes"] / np.float32([width, height, width, height])).T))
    whole = {example.LABEL: rows["classes"].astype(np.int64) + 1, LABEL: rows["track_ids"]}
    return (height, width, 3), {**sides, **whole, example.WIDTH: np.array([width]), example.HEIGHT: np.array([height])}


@pytest.mark.parametrize("number", [0, 1])
def test_augmented_targets_equal_the_original(number, monkeypatch):
    """With the recorded draws, on the way from records to targets that a training takes."""
    arrays, meta = golden("targets-augmented")
    sample, size = meta["samples"][number], tuple(meta["resize"])
    parts = (sample[name] and tuple(sample[name]) for name in ("canvas_h_w_top_left", "crop_x1y1x2y2"))
    cut = Cut(sample["mirror"], *parts)
    monkeypatch.setattr(Augmentation, "cut", lambda *given: cut)
    tasks = build_tasks({"action": Action()}, Centers(21, max_objects=128))
    names = tuple(str(label) for label in range(21))
    read = (tuple(tasks.fields), (Tracks(tubes=True),), names, Augmentation(geometry="stretched"))
    sampler = Sampler(size, "stretched", 128, *read, tasks.frames, tasks.clip)
    frames = [stored(rows, meta["frame_hw"]) for _, rows in sorted(window_of(arrays, sample["start"]).items())]
    made = sampler.draw(np.random.default_rng(0), frames, [offset == 0 for offset in OFFSETS])
    assert made.valid.sum() == sample["objects"]
    rows = {field.name: values[None] for field, values in zip(sampler.padded, made.rows, strict=True)}
    check_targets({**rows, "valid": made.valid[None]}, arrays, str(number), size)


def test_windows_equal_the_original():
    for name in ("targets-plain", "targets-augmented"):
        arrays, meta = golden(name)
        starts = range(1, meta["nframes"] - 7 + 2)
        assert [start for start in starts if join.is_whole(window_of(arrays, start), OFFSETS)] == meta["valid_starts"]


def test_losses_and_gradients_equal_the_original(gradients):
    arrays, meta = golden("loss")
    mask, all_cells = arrays["target/mask"].astype(np.float32)[..., None], arrays["target/index_all"][..., ::2]
    batch, count, frames = all_cells.shape
    target = {
        "heatmap": {"heatmap": nhwc(arrays["target/hm"])},
        "movement": {"index": arrays["target/index"].astype(np.int32), "mask": mask, "value": arrays["target/mov"]},
        "size": {
            "index": (all_cells * frames + np.arange(frames)).reshape(batch, -1).astype(np.int32),
            "mask": np.repeat(mask, frames, axis=1),
            "value": arrays["target/wh"].reshape(batch, count * frames, 2),
        },
    }
    tasks = build_tasks({"action": Action()}, Centers(21))
    assert {term.name: term.weight for term in tasks.terms} == {a: meta["weights"][b] for a, b in OFFICIAL.items()}
    maps = {ours: nhwc(arrays[f"raw/{theirs}"]) for ours, theirs in OFFICIAL.items()}
    found = tasks.losses({name: [value] for name, value in maps.items()}, target)
    for ours, theirs in OFFICIAL.items():
        assert float(found[ours]) == pytest.approx(meta["loss"][f"loss_{theirs}"], rel=1e-4), ours
    assert float(tasks.total(found)) == pytest.approx(meta["loss"]["loss"], rel=1e-4)
    walked = gradients(lambda outputs: tasks.total(tasks.losses(outputs, target)), maps)
    for ours, theirs in OFFICIAL.items():
        expected = nhwc(arrays[f"grad/{theirs}"])
        # Maps minus maps after a step: rounding of numbers as large as the maps are.
        noise = 1e-6 * np.abs(maps[ours]).max()
        np.testing.assert_allclose(walked[ours], expected, atol=1e-4 * np.abs(expected).max() + noise, err_msg=ours)


def test_sizes_cost_the_same_where_their_maps_are_never_made():
    random = np.random.default_rng(3)
    features = random.normal(size=(3, 2, 6, 7, 5)).astype(np.float32)
    kernel, bias = random.normal(size=(5, 2)).astype(np.float32), np.float32([1, -2])
    parts = {"features": [ops.convert_to_tensor(one) for one in features], "kernel": kernel, "bias": bias}
    maps = np.concatenate(list(features @ kernel + bias), axis=-1)
    place, value = random.integers(0, 42, (2, 4, 3)).astype(np.int32), random.normal(size=(2, 12, 2))
    target = {
        "index": decode.listed(place),
        "value": value.astype(np.float32),
        "mask": np.float32([[[1]] * 9 + [[0]] * 3] * 2),
    }
    expected = [
        abs(maps[image, cell // 7, cell % 7, 2 * frame : 2 * frame + 2] - value[image, 3 * row + frame]).sum()
        for (image, row, frame), cell in np.ndenumerate(place)
        if row < 3
    ]
    for values in (maps, parts):
        assert float(targets.frames_l1(values, target)) == pytest.approx(sum(expected) / 36, rel=1e-4)


def decoded(arrays, case, count, clamp):
    maps = {"movement": nhwc(arrays[f"{case}/mov"]), "size": nhwc(arrays[f"{case}/wh"])}
    heat = nhwc(arrays[f"{case}/heat"])
    peaks = Centers(heat.shape[-1], count).peaks_of_scores(heat)
    return numpy_of(decode.decode(maps, peaks, clamp))


@pytest.mark.parametrize("case", [0, 1])
def test_decode_equals_the_original(case):
    arrays, meta = golden("decode")
    found = decoded(arrays, case, meta["cases"][case]["N"], "together")
    out = arrays[f"{case}/out"]
    np.testing.assert_allclose(found["tubelets"].reshape(*out.shape[:2], -1), out[..., :28], atol=1e-3)
    np.testing.assert_allclose(found["scores"], out[..., 28], atol=1e-6)
    np.testing.assert_array_equal(found["classes"], out[..., 29])
    np.testing.assert_array_equal(found["boxes"], found["tubelets"][:, :, 3])
    # Clamped apart, only what lies beyond the map differs.
    apart = decoded(arrays, case, meta["cases"][case]["N"], "apart")["tubelets"]
    inside = arrays[f"{case}/inside"]
    np.testing.assert_array_equal(apart[inside], found["tubelets"][inside])
    assert (apart != found["tubelets"])[~inside].any()


def slow_places(centers, cell, grid, clamp):
    height, width = grid
    found = np.zeros(centers.shape[:3], int)
    for where in np.ndindex(*centers.shape[:3]):
        x, y = (int(value) for value in (centers[where] if where[2] != centers.shape[2] // 2 else cell[where[:2]]))
        if clamp == "together":
            found[where] = min(max(y * width + x, 0), height * width - 1)
        else:
            found[where] = min(max(y, 0), height - 1) * width + min(max(x, 0), width - 1)
    return found


@pytest.mark.parametrize("clamp", ["apart", "together"])
@pytest.mark.parametrize(("frames", "count"), [(7, 0), (1, 5), (2, 9), (7, 40)])
def test_places_equal_a_slow_twin(clamp, frames, count):
    random = np.random.default_rng(count)
    centers = random.uniform(-8, 20, (2, count, frames, 2)).astype(np.float32)
    cell = random.integers(0, 6, (2, count, 2)).astype(np.float32)
    found = numpy_of(decode.places(ops.convert_to_tensor(centers), ops.convert_to_tensor(cell), (9, 12), clamp))
    np.testing.assert_array_equal(found, slow_places(centers, cell, (9, 12), clamp))


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_sizes_of_maps_that_are_never_made(frames):
    random = np.random.default_rng(frames)

    def parts():
        kernels = {"hidden_kernel": (3, 3, 4, 6), "hidden_bias": (6,), "kernel": (6, 2), "bias": (2,)}
        made = {name: random.normal(size=shape).astype(np.float32) for name, shape in kernels.items()}
        return {**made, "features": [random.normal(size=(2, 8, 9, 4)).astype(np.float32) for _ in range(frames)]}

    def whole(one):
        maps = [whole_map({**one, "features": features}) for features in one["features"]]
        return numpy_of(ops.concatenate(maps, axis=-1))

    first, second, place = parts(), parts(), random.integers(0, 72, (2, 6, frames)).astype(np.int32)
    for sizes, expected in (
        (first, whole(first)),
        ({"maps": [first, second], "weights": [0.8, 0.2]}, 0.8 * whole(first) + 0.2 * whole(second)),
    ):
        found = numpy_of(decode.sizes_at(sizes, ops.convert_to_tensor(place)))
        read = numpy_of(decode.sizes_at(ops.convert_to_tensor(expected), ops.convert_to_tensor(place)))
        np.testing.assert_allclose(found, read, atol=1e-4)
        assert decode.grid_of(sizes) == decode.grid_of(expected) == (8, 9)


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_sizes_are_read_frame_by_frame(frames):
    sizes = np.random.default_rng(0).normal(size=(2, 4, 5, 2 * frames)).astype(np.float32)
    place = np.random.default_rng(1).integers(0, 20, (2, 6, frames)).astype(np.int32)
    found = numpy_of(decode.sizes_at(ops.convert_to_tensor(sizes), ops.convert_to_tensor(place)))
    for image, row, frame in np.ndindex(2, 6, frames):
        y, x = divmod(int(place[image, row, frame]), 5)
        np.testing.assert_array_equal(found[image, row, frame], sizes[image, y, x, 2 * frame : 2 * frame + 2])


def frame(*objects):
    """Rows of (identity, class, left) each."""
    ids, classes, lefts = (np.array([one[part] for one in objects], int) for part in range(3))
    boxes = np.stack([lefts, 0 * lefts, lefts + 4, 0 * lefts + 4], axis=1).astype(np.float32)
    crowd = np.zeros(len(ids), bool)
    return {"boxes": boxes, "classes": classes, "track_ids": ids, "crowd": crowd, "ignored": classes == 9}


@pytest.mark.parametrize(
    ("frames", "kept", "whole"),
    [
        ([[], [], []], [], False),
        ([[(1, 0, 5)]] * 3, [1], True),
        ([[], [(1, 0, 5)], [(1, 0, 6)]], [], False),
        ([[(1, 0, 5)], [(1, 0, 5)], []], [], False),
        ([[(1, 0, 5)], [(1, 1, 5)], [(1, 0, 5)]], [], False),  # does something else in between
        ([[(1, 0, 5), (2, 0, 9)], [(2, 0, 9), (1, 0, 5)], [(1, 0, 5)]], [1], False),  # in part only
        ([[(1, 0, 5), (2, 0, 9)], [(2, 0, 9), (1, 0, 5)], [(1, 0, 7), (2, 0, 9)]], [2, 1], True),
        ([[(-1, 0, 5)]] * 3, [], False),  # nobody knows who
        ([[(1, 0, 5)], [(1, 0, 5), (3, 9, 1)], [(1, 0, 5)]], [1, 3], True),  # ignored
        ([[(-1, 0, 5)]], [-1], True),  # a window of one frame
        ([[(4, 9, 5)]], [4], False),
    ],
)
def test_who_is_joined(frames, kept, whole):
    offsets = tuple(range(-(len(frames) // 2), len(frames) - len(frames) // 2))
    window = dict(zip(offsets, (frame(*one) if one else frame() for one in frames)))
    made = join.join(window, offsets)
    assert made["track_ids"].tolist() == kept and join.is_whole(window, offsets) == whole
    assert made["tubelets"].shape == (len(kept), len(frames), 4) and made["tubelets"].dtype == np.float32
    for row, number in enumerate(kept):
        for place, offset in enumerate(offsets):
            found = np.flatnonzero(window[offset]["track_ids"] == number)
            if len(found):
                np.testing.assert_array_equal(made["tubelets"][row, place], window[offset]["boxes"][found[0]])


def test_frames_are_reduced_for_the_heads_of_all():
    (whole,), (less,) = (build_tasks({"action": Action(reduce=count)}, Centers(3)).tasks for count in (None, 16))
    assert {head.name: head.reduced for head in whole.heads} == {"heatmap": 0, "movement": 0, "size": 0}
    assert {head.name: head.reduced for head in less.heads} == {"heatmap": 16, "movement": 16, "size": 0}


def test_sizes_of_classes_are_refused():
    for option in ("class_specific_size", "ltrb", "area"):
        with pytest.raises(UsageError, match="one width and height in each frame"):
            build_tasks({"action": Action()}, Centers(3, **{option: True}))
