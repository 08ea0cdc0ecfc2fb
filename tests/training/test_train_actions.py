"""Training on clips: which windows are trained on, that a network learns from tiny clips, and what is refused."""

import csv

import numpy as np
import pytest

from centernet_tf.config import parse_settings
from centernet_tf.data.augment import Augmentation
from centernet_tf.data.dataset import open_dataset
from centernet_tf.data.pipeline import Feed
from centernet_tf.datasets.items import Item
from centernet_tf.datasets.writer import write_records
from centernet_tf.errors import DataError, UsageError
from centernet_tf.points.centers import Centers
from centernet_tf.properties.tracks import Tracks
from centernet_tf.tasks import build_tasks
from centernet_tf.tasks.action import Action
from centernet_tf.training.train import train

SIZE = (40, 56)  # height and width of the clips
CLASSES = ("left", "right")
STILL = {"flip": 0, "crop": False, "expand_probability": 0, "geometry": "stretched"} | dict.fromkeys(
    ("brightness", "contrast", "saturation", "lighting"), 0
)


def frames_of(video, frames, lives, way=1, size=SIZE):
    """Frames of a square that moves a pixel each; `lives` are the frames in which it is there, and its identity."""
    height, width = size
    for frame in range(1, frames + 1):
        left = (6 if way > 0 else width - 22) + way * frame
        image = np.full((height, width, 3), 30, np.uint8)
        here = [identity for first, last, identity in lives if first <= frame <= last]
        if here:
            image[8:24, left : left + 16] = (250, 120, 60)
        yield Item(
            f"{video}{frame:03d}",
            1000 * ord(video[0]) + frame,
            image,
            f"{video}{frame}.png",
            np.array([[left, 8, left + 16, 24]] * len(here), np.float32).reshape(-1, 4),
            [int(way > 0)] * len(here),
            rows={"track_ids": here},
            video=video,
            frame=frame,
        )


def written(folder, *videos):
    items = [item for video in videos for item in video]

    write_records(
        items,
        directory=folder,
        name="clips",
        split="train",
        classes=CLASSES,
        shards=min(2, len(videos)),
        properties=(Tracks(),),
    )
    return open_dataset(folder)


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """Four clips of nine frames; in one of them the action begins late."""
    folder = tmp_path_factory.mktemp("actions") / "train"
    whole = [(1, 9, 4)]
    return written(
        folder,
        frames_of("a", 9, whole),
        frames_of("b", 9, whole, -1),
        frames_of("c", 9, [(3, 9, 1)]),
        frames_of("d", 9, whole, -1),
    )


def feed_of(frames=3, size=(32, 64), **settings):
    tasks = build_tasks({"action": Action(frames=frames)}, Centers(2))
    return Feed(
        size=size,
        max_objects=8,
        window=tasks.window,
        fields=tasks.fields,
        properties=tasks.properties,
        inputs=tasks.inputs,
        frames=tasks.frames,
        clip=tasks.clip,
        **settings,
    )


def test_only_whole_windows_make_samples(records):
    # Nine frames have seven windows of three; where the action begins in frame 3, those that end before it and around.
    for frames, count in ((1, 9 * 3 + 7), (3, 7 * 3 + 5), (7, 3 * 3 + 1)):
        assert feed_of(frames).steps(records, 1) == count
    batches = list(feed_of(3).validation(records, 4))
    assert sum(len(rows["valid"]) for _, rows in batches) == 7 * 3 + 5
    inputs, rows = batches[0]
    assert inputs["image"].shape == (4, 3, 32, 64, 3) and rows["tubelets"].shape == (4, 8, 3, 4)
    assert all((rows["valid"].numpy().sum(axis=1) == 1).all() for _, rows in batches)


def test_tubelets_follow_the_pixels(records):
    augment = Augmentation(**{**STILL, "flip": 0.5, "crop": True, "expand_probability": 0.5, "expand": 2})
    inputs, rows = next(iter(feed_of(3, size=(64, 96), seed=1).training(records, 16, augment)))
    inputs, rows = inputs["image"].numpy(), {name: value.numpy() for name, value in rows.items()}
    checked = 0
    for clip, boxes, valid in zip(inputs, rows["tubelets"], rows["valid"]):
        for frame, box in zip(clip, boxes[0]):
            y, x = np.mgrid[:64, :96] + 0.5
            bright = frame[..., 0] > 200
            inner = (x > box[0] + 2) & (x < box[2] - 2) & (y > box[1] + 2) & (y < box[3] - 2)
            # A crop shows one pixel of the image more than the boxes are clipped to, some eight of the input.
            outer = (x < box[0] - 2) | (x > box[2] + 10) | (y < box[1] - 2) | (y > box[3] + 10)
            if valid[0]:
                assert bright[inner].all() and not bright[outer].any()
                checked += inner.any()
    assert checked > 30
    np.testing.assert_array_equal(rows["boxes"], rows["tubelets"][:, :, 1])


def test_any_step_is_reached_again(records):
    feed, augment = feed_of(3, seed=2), Augmentation(**{**STILL, "crop": True})
    whole = [rows["tubelets"].numpy() for _, (_, rows) in zip(range(9), feed.training(records, 4, augment))]
    later = next(iter(feed.training(records, 4, augment, step=8)))[1]["tubelets"].numpy()
    np.testing.assert_array_equal(later, whole[8])


def settings_of(records, out, **task):
    content = {
        "task": "action",
        "action": {"frames": 3, **task},
        "backbone": "tiny",
        "max_objects": 4,
        "data": {"train": str(records.directory), "validation": str(records.directory), "size": [32, 64]},
        "augment": STILL,
        "train": {"epochs": 3, "batch_size": 8, "learning_rate": 1e-2, "warmup_steps": 0},
        "evaluate": {"every": 3, "images": 0},
    }
    return parse_settings(content, str(out))


@pytest.mark.slow
@pytest.mark.long
def test_a_network_learns_from_clips(records, tmp_path):
    model = train(settings_of(records, tmp_path), tmp_path / "run", lambda line: None)
    with (tmp_path / "run" / "log.csv").open(newline="") as file:
        rows = [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]
    assert model.is_file() and len(rows) == 3
    for term in ("heatmap", "movement", "size"):
        assert rows[-1][f"{term}_loss"] < rows[0][f"{term}_loss"], term


def test_clips_that_are_too_short_are_refused(records, tmp_path):
    settings = settings_of(records, tmp_path, frames=12)
    with pytest.raises(UsageError, match=r"0 whole windows do not fill one batch of 8.*12 frames in a row"):
        train(settings, tmp_path / "run", lambda line: None)


@pytest.mark.slow
def test_frames_of_other_sizes_are_refused(tmp_path):
    frames = [*frames_of("a", 9, [(1, 9, 1)])]
    frames[4] = list(frames_of("a", 9, [(1, 9, 1)], size=(44, 56)))[4]
    mixed = written(tmp_path / "mixed", frames, frames_of("b", 9, [(1, 9, 1)]))
    with pytest.raises(DataError, match=r"frames of one video have sizes \[\(40, 56\), \(44, 56\)\]"):
        train(settings_of(mixed, tmp_path, frames=3), tmp_path / "run", lambda line: None)


def test_images_are_stretched_as_the_task_says(records, tmp_path):
    settings = settings_of(records, tmp_path)
    plain = settings.model_copy(update={"augment": settings.augment.model_copy(update={"geometry": "window"})})
    with pytest.raises(UsageError, match=r"images here are stretched into the input\. Set augment\.geometry to str"):
        train(plain, tmp_path / "run", lambda line: None)


def test_pictures_of_flow_are_stacked(records):
    tasks = build_tasks({"action": Action(frames=3, flow=2)}, Centers(2))
    assert tasks.frames == (-1, 0, 1, 2) and tasks.inputs["image"].pictures == (-1, 0, 0, 1, 1, 2)
    feed = feed_of(3)
    flow = Feed(**{**vars(feed), "inputs": tasks.inputs, "frames": tasks.frames, "clip": tasks.clip})
    images, stacked = (next(iter(one.validation(records, 4)))[0]["image"].numpy() for one in (feed, flow))
    assert stacked.shape == (4, 3, 32, 64, 6)
    np.testing.assert_array_equal(stacked[..., :3], images)
    np.testing.assert_array_equal(stacked[:, :2, ..., 3:], images[:, 1:])
