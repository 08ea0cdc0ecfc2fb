"""Tracking by displacement: two images and a map drawn from what was found before; ids that last over time."""

import dataclasses

import keras
import numpy as np
import pytest
from keras import ops

from centernet_tf.detector.follow import follow
from centernet_tf.errors import UsageError
from centernet_tf.losses import gather_cells, masked_l1
from centernet_tf.points.centers import STRIDE
from centernet_tf.points.task import Association, Find, Head, Input, Task, TaskSettings, Term
from centernet_tf.properties.fields import SHARED, Field
from centernet_tf.tasks.detect import Detect

NEAR = 20.0  # pixels that an object moves at most


def draw_boxes(rows, size):
    """[B, H, W, 1] float32: 1 where a pixel lies in one of the boxes."""
    inside = ops.cast(rows["valid"], "float32")[..., None, None]  # [B, N, H, W]
    for axis, low, high, shape in ((0, 1, 3, (-1, 1)), (1, 0, 2, (1, -1))):
        place = ops.reshape(ops.arange(size[axis], dtype="float32"), shape)
        first, last = (ops.cast(rows["boxes"][..., side], "float32")[..., None, None] for side in (low, high))
        inside = inside * ops.cast(ops.logical_and(place >= first, place < last), "float32")
    return ops.max(inside, axis=1)[..., None]


@dataclasses.dataclass(frozen=True)
class Memory:
    boxes: np.ndarray
    ids: np.ndarray
    next: int


def start():
    return Memory(np.zeros((0, 4), np.float32), np.zeros(0, int), 1)


def nearest(found, memory):
    """Each object takes the id of the nearest one before, or a new one."""
    ids, new = [], memory.next
    before = (memory.boxes[:, :2] + memory.boxes[:, 2:]) / 2
    for center in (found.boxes[:, :2] + found.boxes[:, 2:]) / 2:
        away = np.linalg.norm(before - center, axis=1)
        known = len(away) and away.min() <= NEAR
        ids.append(memory.ids[away.argmin()] if known else new)
        new += not known
    ids = np.array(ids, int)
    return [dataclasses.replace(found, fields={**found.fields, "ids": ids})], Memory(found.boxes, ids, new)


class Follow(TaskSettings):
    def build(self, centers):
        def encode(rows, located):
            mask = ops.cast(located["boxed"], "float32")[..., None]
            way = {"index": located["index"], "mask": mask, "value": rows["displacements"] / STRIDE}
            return {**centers.encode(rows, located), "displacement": way}

        def decode(outputs, peaks):
            way = gather_cells(outputs["displacement"], peaks["index"])
            return {**centers.decode(outputs, peaks), "displacements": way}

        return Task(
            name="toy",
            heads=(*centers.heads(), Head("displacement", 2)),
            terms=(*centers.terms(), Term("displacement", ("displacement",), masked_l1)),
            encode=encode,
            decode=decode,
            fields=(*SHARED, Field("displacements", "float32", (2,), "vectors", 0.0, "to the frame before, pixels")),
            finds=(Find("displacements", "vectors"),),
            inputs={"image": Input(), "previous": Input(frames=(-1,)), "prior": Input(channels=1, draw=draw_boxes)},
            associate=Association(start, nearest, lambda memory: [], lambda memory: {"boxes": memory.boxes}),
        )


@pytest.mark.slow
def test_trains_on_two_images_and_a_drawn_map(make_card, make_network, make_inputs, fit, rows):
    card = make_card(Follow)
    tasks, network = card.task_set(), make_network(card)
    assert {tensor.name: tensor.shape[-1] for tensor in network.inputs} == {"image": 3, "previous": 3, "prior": 1}
    truth, before = (rows(tasks.fields, (64, 96), num_classes=2, seed=seed) for seed in (0, 1))
    stems = [network.get_layer("tiny").get_layer(f"{name}_stem").kernel for name in ("image", "previous", "prior")]
    begun = [ops.convert_to_numpy(kernel) for kernel in stems]
    given = {"boxes": before["boxes"], "valid": before["valid"]}
    fit(network, tasks, {**make_inputs(tasks), "rows": given}, truth, card)
    for kernel, value in zip(stems, begun):
        assert not np.array_equal(ops.convert_to_numpy(kernel), value)


@pytest.fixture
def spots(make_card):
    """Network and card that find red and green spots.

    The displacement of an object is, in cells, the brightness of the frame before and of the drawn map at its cell.
    """
    card = make_card(Follow, size=(128, 128))
    inputs = {
        name: keras.Input((None, None, wanted.channels), name=name) for name, wanted in card.task_set().inputs.items()
    }
    means = keras.layers.Concatenate()([keras.layers.AveragePooling2D(4)(one) for one in inputs.values()])  # 7 channels
    values = {
        "heatmap": ([[16, -16, -16, 0, 0, 0, 0], [-16, 16, -16, 0, 0, 0, 0]], (-6, -6)),
        "offset": (np.zeros((2, 7)), (0.5, 0.5)),
        "size": (np.zeros((2, 7)), (8, 6)),
        "displacement": ([[0, 0, 0, 1, 1, 1, 0], [0, 0, 0, 0, 0, 0, 1]], (0, 0)),
    }
    layers = {name: keras.layers.Conv2D(2, 1, name=name) for name in values}
    network = keras.Model(inputs, {name: [layer(means)] for name, layer in layers.items()})
    for name, (kernel, bias) in values.items():
        layers[name].set_weights([np.float32(kernel).T[None, None], np.float32(bias)])
    return network, card


def test_a_video_keeps_its_ids(spots, draw_spots, detect):
    network, card = spots
    # An image twice as large as the input; one object moves, one comes in the third frame, one leaves in the last.
    frames = [
        draw_spots(
            256,
            256,
            (80 + 8 * time, 60, 0),
            *([(200, 200, 1)] if time < 3 else []),
            *([(60, 200, 1)] if time > 1 else []),
        )
        for time in range(4)
    ]
    detector = detect(card, network)
    found = list(follow(detector, iter(frames), threshold=0.5))
    assert [len(one) for one in found] == [2, 2, 3, 2]
    by_id = [dict(zip(one.fields["ids"].tolist(), one)) for one in found]
    assert [sorted(one) for one in by_id] == [[1, 2], [1, 2], [1, 2, 3], [1, 3]]
    moving = next(number for number, row in by_id[0].items() if row.class_index == 0)
    places = [(one[moving].box[0] + one[moving].box[2]) / 2 for one in by_id]
    assert np.diff(places).min() >= 0 and places[3] - places[0] == pytest.approx(24, abs=8)
    # Displacements are vectors of the image, so a cell is 8 pixels. The prior knows the objects of the frame before.
    drawn = [{number: round(float(row.fields["displacements"][1]), 3) for number, row in one.items()} for one in by_id]
    assert drawn == [{1: 0, 2: 0}, {1: 8, 2: 8}, {1: 8, 2: 8, 3: 0}, {1: 8, 3: 8}]
    lit = [{number: float(row.fields["displacements"][0]) for number, row in one.items()} for one in by_id]
    assert lit[0][moving] == pytest.approx(8 * 0.9, abs=1.5), "the first frame stands for the one before it"
    assert lit[2][3] == pytest.approx(0, abs=0.1) and lit[3][3] > 4


@pytest.mark.slow
def test_a_single_image_is_a_video_that_begins(spots, draw_spots, detect):
    network, card = spots
    detector, image = detect(card, network), draw_spots(256, 256, (80, 60, 0))
    (followed,) = follow(detector, [image], threshold=0.5)
    alone = detector(image, threshold=0.5)
    for name in ("boxes", "scores", "displacements"):
        np.testing.assert_allclose(alone.rows[name], followed.rows[name], rtol=1e-6)
    heatmap = detector.look(image)[1]
    assert heatmap.shape == (32, 32, 2) and heatmap.max() == pytest.approx(alone.scores[0], abs=1e-5)


@pytest.mark.slow
def test_the_flip_test_mirrors_all_inputs(spots, draw_spots, detect):
    network, card = spots
    image, previous = draw_spots(128, 128, (34, 50, 0)), draw_spots(128, 128, (94, 50, 1))
    given = [(image, {"previous": previous, "rows": {"boxes": np.float32([[80, 40, 110, 60]])}})]
    plain, flipped = (list(one.stream(given, 0.5)) for one in (detect(card, network), detect(card, network, flip=True)))
    np.testing.assert_allclose(flipped[0].boxes, plain[0].boxes, atol=1e-4)
    np.testing.assert_allclose(flipped[0].fields["displacements"], plain[0].fields["displacements"], atol=1e-4)


def test_what_does_not_fit_is_named(spots, draw_spots, detect, make_card):
    network, card = spots
    detector, image = detect(card, network), draw_spots(128, 128)
    with pytest.raises(ValueError, match=r"previous has shape \(64, 64, 3\); expected \(128, 128, 3\)"):
        list(detector.stream([(image, {"previous": image[:64, :64]})]))
    with pytest.raises(UsageError, match="Unknown 'prior'"):
        list(detector.stream([(image, {"prior": image})]))
    with pytest.raises(UsageError, match="more than the image itself"):
        detector.with_options(tile=(128, 128), halo=32)
    with pytest.raises(UsageError, match="A model of toy does not track objects over time"):
        next(follow(detect(make_card(Detect)), [image]))


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow writes it")
@pytest.mark.parametrize("kind", ["savedmodel", "tflite"])
def test_exports_cannot_hold_what_the_host_remembers(spots, tmp_path, kind):
    from centernet_tf.exports.savedmodel import export_savedmodel
    from centernet_tf.exports.tflite import export_tflite

    export = {"savedmodel": export_savedmodel, "tflite": export_tflite}[kind]
    with pytest.raises(UsageError, match="associates objects over time by settings that only the host knows"):
        export(spots, tmp_path / f"out.{kind}")
    assert not list(tmp_path.iterdir())
