"""What the page is told by a model."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from centernet_tf.demo import models
from centernet_tf.errors import DataError, UsageError
from centernet_tf.tasks import TASKS

pytestmark = pytest.mark.usefixtures("eagerly")


def pixels(picture):
    kind, data = picture["url"].split(",")
    assert kind == "data:image/jpeg;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


def names(answer):
    return [row["category"] for row in answer["objects"]]


def test_an_image(spots, folder):
    answer = spots.find(folder / "a.png", "a.png")
    assert sorted(names(answer)) == ["green", "red"] and (answer["width"], answer["height"]) == (96, 64)
    scores = [row["score"] for row in answer["objects"]]
    assert scores == sorted(scores, reverse=True)
    assert pixels(answer["picture"]).shape == (64, 96, 3)
    assert list(answer["times"]) == ["read", "found", "drawn"] and "heatmap" not in answer
    assert names(spots.find((folder / "a.png").read_bytes(), "a", threshold=1.0)) == []


def test_a_heatmap(spots, folder):
    heatmap = pixels(spots.find(folder / "a.png", "a.png", heatmap=True)["heatmap"])
    assert heatmap.shape == (128, 128, 3)  # the network's input
    assert heatmap[60:70, 35:45, 0].mean() > 2 * heatmap[..., 0].mean()


def test_a_point(spots, folder):
    answer = spots.at_point(folder / "a.png", "a.png", (70, 20))
    assert names(answer) == ["green"] and answer["point"] == [70, 20]
    assert [name for name, _ in answer["classes"]] == ["green", "red"]
    with pytest.raises(UsageError, match="outside of the image"):
        spots.at_point(folder / "a.png", "a.png", (70, 65))


def test_a_video_without_identities(spots, folder):
    answers = list(spots.watch(folder / "c.mp4"))
    assert [answer["frame"] for answer in answers] == [1, 2, 3, 4, 5, 6]
    assert {answer["frames"] for answer in answers} == {6}
    assert all(names(answer) == ["red"] for answer in answers)
    lefts = [answer["objects"][0]["bbox"][0] for answer in answers]
    assert lefts == sorted(lefts) and lefts[-1] - lefts[0] > 20


def test_a_video_is_cut(spots, draw_spots, monkeypatch):
    monkeypatch.setattr(models, "MOST_FRAMES", 2)
    answers = list(spots.watch([draw_spots(64, 64, (30, 34, 0))] * 3))
    assert [(answer["frame"], answer["frames"]) for answer in answers] == [(1, 2), (2, 2)]


def test_what_is_no_image_or_video(spots, tmp_path):
    with pytest.raises(DataError, match=r"notes\.txt: not an image that can be read"):
        spots.find(b"hello", "notes.txt")
    path = tmp_path / "a.mp4"
    path.write_text("no video")
    with pytest.raises(DataError, match="not a video"):
        list(spots.watch(path))


@pytest.mark.parametrize("task", TASKS)
def test_every_task(task, shown_of, draw_spots):
    shown = shown_of(task)
    assert json.loads(json.dumps(shown.facts))["tasks"] == [task]
    image = draw_spots(64, 64, (30, 34, 0))
    found = shown.find(image, "image", threshold=0.0, heatmap=True)
    assert len(shown.at_point(image, "image", (30, 34))["objects"]) == 1
    frames = list(shown.watch([image] * 8, threshold=0.0))
    assert [answer["frame"] for answer in frames] == list(range(1, 9))
    assert found["objects"] and json.loads(json.dumps([found, *frames]))


def test_objects_are_followed_above_the_threshold(shown_of, draw_spots):
    """Of a task that has a threshold of its own, this is replaced."""
    shown = shown_of("track", settings={"threshold": 0.9})
    frames = [draw_spots(64, 64, (30, 34, 0))] * 3
    assert [len(answer["objects"]) for answer in shown.watch(frames)] == [0, 0, 0]
    for answer in shown.watch(frames, threshold=0.01):
        assert answer["objects"] and all(row["track_id"] > 0 for row in answer["objects"])


def test_flow_needs_a_video(shown_of, draw_spots):
    shown = shown_of("action", settings={"flow": True})
    image = draw_spots(64, 64, (30, 34, 0))
    assert not shown.facts["stills"]
    with pytest.raises(UsageError, match="image: this model sees optical flow, and a single image has none"):
        shown.find(image, "image")
    assert len(list(shown.watch([image] * 8))) == 8


def test_it_answers_once_before_anybody_asks(spots, shown_of, monkeypatch):
    asked = []
    for name in ("find", "at_point"):
        monkeypatch.setattr(spots, name, lambda image, *_, name=name, **__: asked.append((name, image.shape)))
    spots.begin()
    assert asked == [("find", (64, 96, 3)), ("at_point", (64, 96, 3))]
    shown_of("detect").begin()  # has nothing to look at
    flow = shown_of("action", settings={"flow": True})
    flow.examples = spots.examples
    flow.begin()  # sees no images


def test_facts(spots):
    assert spots.facts == {
        "title": "spots",
        "tasks": ["detect"],
        "classes": ["red", "green"],
        "backbone": "mobilenetv2_fpn",
        "input": "128x128",
        "threshold": 0.3,
        "stills": True,
        "follows": False,
        "examples": [
            {"name": "a.png", "moving": False},
            {"name": "b.jpg", "moving": False},
            {"name": "c.mp4", "moving": True},
        ],
    }
