"""Action tubes: clips through one trunk, a head of each frame, no offset, and results that are held back."""

import keras
import numpy as np
import pytest
from keras import ops

from centernet_tf.detector.follow import follow
from centernet_tf.detector.frames import windows
from centernet_tf.layers import FoldFrames, UnfoldFrames
from centernet_tf.losses import gather_cells, masked_l1
from centernet_tf.points.centers import STRIDE
from centernet_tf.points.task import Association, Clip, Find, Head, Input, Task, TaskSettings, Term
from centernet_tf.properties.fields import SHARED, Field

FRAMES = (-1, 0, 1)


def one_later(found, memory):
    """Tells what it was given before."""
    return memory, [found]


TUBELETS = Field("tubelets", "float32", (len(FRAMES), 4), "boxes", 0.0, "boxes of the frames, pixels")


def joined(rows, size, random):
    """Boxes of all frames at the objects of the present one, which are in the same order."""
    del size, random
    return {**rows[0], "tubelets": np.stack([rows[frame]["boxes"] for frame in FRAMES], axis=1)}, {}


class Tubes(TaskSettings):
    def build(self, centers):
        heatmap, heatmap_term = centers.heads()[0], centers.terms()[0]

        def encode(rows, located):
            boxes = rows["tubelets"] / STRIDE  # [B, N, T, 4]
            batch, count = ops.shape(boxes)[:2]
            mask = ops.cast(located["boxed"], "float32")[..., None]
            middle = (boxes[..., :2] + boxes[..., 2:]) / 2 - located["cell"][:, :, None]
            values = {"movement": middle, "sides": boxes[..., 2:] - boxes[..., :2]}
            shape = (batch, count, 2 * len(FRAMES))
            return {
                "heatmap": centers.encode(rows, located)["heatmap"],
                **{
                    name: {"index": located["index"], "mask": mask, "value": ops.reshape(value, shape)}
                    for name, value in values.items()
                },
            }

        def decode(outputs, peaks):
            middle, sides = (gather_cells(outputs[name], peaks["index"]) for name in ("movement", "sides"))
            shape = (*ops.shape(middle)[:2], len(FRAMES), 2)
            middle = ops.reshape(middle, shape) + peaks["cell"][:, :, None]
            half = ops.reshape(sides, shape) / 2
            tubelets = ops.concatenate([middle - half, middle + half], axis=-1)
            return {
                "boxes": tubelets[:, :, FRAMES.index(0)],
                "scores": peaks["scores"],
                "classes": peaks["classes"],
                "tubelets": tubelets,
            }

        return Task(
            name="toy",
            heads=(heatmap, Head("movement", 2 * len(FRAMES)), Head("sides", 2, per_frame=True)),
            terms=(
                heatmap_term,
                Term("movement", ("movement",), masked_l1),
                Term("sides", ("sides",), masked_l1, 0.1),
            ),
            encode=encode,
            decode=decode,
            fields=(*SHARED, TUBELETS),
            finds=(Find("tubelets", "boxes"),),
            inputs={"image": Input(frames=FRAMES)},
            clip=Clip(joined, fields=(TUBELETS,), reads=SHARED),
            associate=Association(list, one_later, lambda memory: memory),
        )


@pytest.fixture
def truth(rows):
    """Padded rows of two clips, as `join` makes them."""
    frames = {frame: rows(SHARED, (64, 96), num_classes=2, seed=0) for frame in FRAMES}
    for frame, one in frames.items():
        one["boxes"] = one["boxes"] + np.float32([3, 1, 3, 1]) * frame
    one_by_one = [
        joined(
            {frame: {name: value[i] for name, value in rows.items()} for frame, rows in frames.items()}, (64, 96), None
        )[0]
        for i in range(2)
    ]
    return {name: np.stack([one[name] for one in one_by_one]) for name in one_by_one[0]}


def test_trains_on_clips(make_card, make_network, make_inputs, fit, truth):
    card = make_card(Tubes)
    tasks, network = card.task_set(), make_network(card)
    assert network.input_shape == (None, 3, None, None, 3)
    assert [network.output[name][0].shape[-1] for name in ("movement", "sides")] == [6, 6]
    fit(network, tasks, make_inputs(tasks), truth, card, steps=20)


def test_perfect_maps_give_the_tubelets_back(make_card, truth):
    tasks = make_card(Tubes).task_set()
    targets = tasks.encode(truth, (16, 24))
    maps = {"heatmap": [20 * ops.convert_to_tensor(targets["heatmap"]["heatmap"]) - 10]}
    for name in ("movement", "sides"):
        filled = np.zeros((2, 16 * 24, 6), np.float32)
        index, value = (ops.convert_to_numpy(targets[name][key]) for key in ("index", "value"))
        for image in range(2):
            filled[image, index[image, :3]] = value[image, :3]
        maps[name] = [ops.convert_to_tensor(filled.reshape(2, 16, 24, 6))]
    found = {name: ops.convert_to_numpy(value) for name, value in tasks.decode(maps).items()}
    for image in range(2):
        order = np.lexsort(np.round(found["boxes"][image, :3]).T)
        expected = truth["tubelets"][image, :3]
        wanted = np.lexsort(np.round(expected[:, 1] / STRIDE).T)
        np.testing.assert_allclose(found["tubelets"][image, :3][order] * STRIDE, expected[wanted], atol=1e-3)


@pytest.fixture
def spots(make_card):
    """Network and card that find spots in the middle frame; sides are the brightness of the three frames, in cells."""
    card = make_card(Tubes, size=(128, 128))
    clip = keras.Input((3, None, None, 3), name="image")
    means = keras.layers.AveragePooling2D(4)(FoldFrames()(clip))
    light = keras.layers.Conv2D(2, 1, use_bias=False, name="light")
    heat, still = (keras.layers.Conv2D(count, 1, name=name) for count, name in ((2, "heat"), (6, "still")))
    whole = UnfoldFrames(3)(means)  # [B, h, w, 9]
    maps = {"heatmap": [heat(whole)], "movement": [still(whole)], "sides": [UnfoldFrames(3)(light(means))]}
    network = keras.Model(clip, maps)
    light.set_weights([np.ones((1, 1, 3, 2))])
    kernel = np.zeros((1, 1, 9, 2))
    kernel[0, 0, 3:6] = [[16, -16], [-16, 16], [-16, -16]]
    heat.set_weights([kernel, np.float32([-6, -6])])
    still.set_weights([np.zeros((1, 1, 9, 6)), np.full(6, 0.5)])
    return network, card


@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.slow
def test_a_video_is_seen_in_clips_and_told_later(spots, draw_spots, detect, batch_size):
    network, card = spots
    # The spot is there in frames 1 to 3 of 5.
    frames = [draw_spots(256, 256, *([(84, 68, 0)] if 1 <= time <= 3 else [])) for time in range(5)]
    found = list(follow(detect(card, network), frames, 0.5, batch_size))
    assert [len(one) for one in found] == [0, 1, 1, 1, 0]
    for time in (1, 2, 3):
        tubelet = found[time].fields["tubelets"][0]
        assert found[time].boxes[0] == pytest.approx(tubelet[1])
        seen = tubelet[:, 2] - tubelet[:, 0] > 1
        assert seen.tolist() == [1 <= time + frame <= 3 for frame in FRAMES]
        assert (tubelet[:, :2] + tubelet[:, 2:])[1] / 2 == pytest.approx(np.array([84, 68]), abs=1)


@pytest.mark.parametrize(
    ("count", "frames", "expected"),
    [
        (0, (-1, 0, 1), []),
        (1, (-1, 0, 1), [[0, 0, 0]]),
        (3, (-1, 0, 1), [[0, 0, 1], [0, 1, 2], [1, 2, 2]]),
        (4, (-3, -1), [[0, 0], [0, 0], [0, 1], [0, 2]]),
        (3, (0, 2), [[0, 2], [1, 2], [2, 2]]),
    ],
)
def test_ends_of_a_video_are_repeated(count, frames, expected):
    video = [np.full((2, 2, 3), number, np.uint8) for number in range(count)]
    seen = list(windows(video, {"image": Input(frames=frames)}))
    assert [int(image[0, 0, 0]) for image, _ in seen] == list(range(count))
    assert [further["image"][:, 0, 0, 0].tolist() for _, further in seen] == expected


def test_a_video_is_read_no_further_than_needed():
    read = []

    def video():
        for number in range(9):
            read.append(number)
            yield np.zeros((2, 2, 3), np.uint8)

    for number, _ in zip(range(3), windows(video(), {"image": Input(frames=(-1, 0, 2))})):
        assert read == list(range(number + 3))
