"""The table of who is who counts what it says."""

import numpy as np
import pytest

from centernet_tf.benchmark import __main__ as program
from centernet_tf.benchmark import looks
from centernet_tf.data.dataset import iterate, open_dataset
from centernet_tf.datasets.items import Item
from centernet_tf.datasets.writer import write_records
from centernet_tf.detector.detector import Detector
from centernet_tf.errors import UsageError
from centernet_tf.model.card import InputCard, ModelCard
from centernet_tf.model.network import build_network
from centernet_tf.properties.tracks import Tracks
from centernet_tf.results import Detections

BOXES = np.array([[2, 2, 14, 14], [40, 20, 60, 40]], np.float32)
FRAMES = 12


def written(folder, frames_of):
    """Records of one video: {identity: frames, from 1, in which it is seen}, each in a place of its own."""
    items = []
    for frame in range(1, FRAMES + 1):
        ids = [number for number, frames in frames_of.items() if frame in frames]
        image = np.zeros((48, 64, 3), np.uint8)
        items.append(
            Item(
                f"{frame:02d}",
                frame,
                image,
                f"{frame}.png",
                BOXES[ids].reshape(-1, 4),
                [0] * len(ids),
                rows={"track_ids": ids},
                video="one",
                frame=frame,
            )
        )
    write_records(items, directory=folder, name="a", split="val", classes=("thing",), properties=(Tracks(),))
    return open_dataset(folder)


@pytest.mark.parametrize(
    ("frames", "away"),
    [
        ([], False),
        ([4], False),
        (range(1, 13), False),
        ([1, 2, 7, 8], False),  # four frames without
        ([1, 2, 8, 9], True),  # five
        ([1, 12], True),
        ([1, 4, 7, 10], False),
    ],
)
def test_who_was_away(frames, away, tmp_path):
    dataset = written(tmp_path / "a", {0: range(1, 13), 1: frames})
    assert looks.who_was_away(iterate(dataset)) == ({("one", 1)} if away else set())


def detector_of(task, **settings):
    form = InputCard(height=32, width=32, stride=4, mean=(0, 0, 0), std=(1, 1, 1))
    card = ModelCard(
        tasks={task: settings}, backbone="tiny", classes=("thing",), max_objects=9, input=form, head_channels=8
    )
    tasks = card.task_set()
    return Detector(build_network("tiny", tasks.heads, tasks.inputs, 8), card)


def played(told):
    """Stands for `follow`: finds what is annotated, and names it as `told` does; embeddings are those of the names."""

    def follow(detector, images, threshold, keep):
        for frame in range(1, FRAMES + 1):
            rows = [row for row, names in enumerate(told) if frame in names]
            ids = np.array([told[row][frame] for row in rows], np.int64)
            found = Detections(
                BOXES[rows].reshape(-1, 4),
                np.ones(len(rows), np.float32),
                np.zeros(len(rows), np.int64),
                ("thing",),
                (64, 48),
                {"embeddings": np.eye(5, dtype=np.float32)[ids], "track_ids": ids},
            )
            keep(found)
            yield found

    return follow


def test_figures_are_of_everyone_and_of_whom_was_away(tmp_path, monkeypatch):
    """One is always there; the other is away for six frames, and someone new when it comes back."""
    dataset = written(tmp_path / "a", {0: range(1, 13), 1: [1, 2, 3, 10, 11, 12]})
    away = looks.who_was_away(iterate(dataset))
    stays = dict.fromkeys(range(1, 13), 1)
    monkeypatch.setattr(looks, "follow", played([stays, {1: 2, 2: 2, 3: 2, 10: 3, 11: 3, 12: 3}]))
    everyone, some, retrieval = np.split(np.array(looks.figures(None, dataset, away), object), [4, 8])
    assert everyone[[0, 1, 3]].tolist() == ["94.4", "83.3", "1"]  # 1 - 1/18, 15 of 18
    assert some[[0, 1, 3]].tolist() == ["83.3", "50.0", "1"]
    assert 0 < float(retrieval[1]) < float(retrieval[0]) < 100
    monkeypatch.setattr(looks, "follow", played([stays, dict.fromkeys([1, 2, 3, 10, 11, 12], 2)]))
    assert looks.figures(None, dataset, away)[:2] == looks.figures(None, dataset, away)[4:6] == ("100.0", "100.0")
    assert looks.figures(None, dataset, away)[8] == "100.0"


def test_ways_of_a_model():
    assert looks.ways_of(detector_of("reid", embedding=8)) == looks.WAYS
    assert looks.ways_of(detector_of("track")) == {"track": {}}
    with pytest.raises(UsageError, match="A model of detect does not track"):
        looks.ways_of(detector_of("detect"))


def test_every_way_is_measured(tmp_path, monkeypatch):
    written(tmp_path / "a", {0: range(1, 13), 1: [1, 2, 3, 10, 11, 12]})
    asked = []
    monkeypatch.setattr(looks, "load", lambda path: detector_of("reid", embedding=8))
    monkeypatch.setattr(looks, "figures", lambda detector, *rest: asked.append(detector.card.tasks["reid"]) or ("1",))
    rows = list(looks.measure([str(tmp_path / "a"), "best.keras"]))
    assert rows == [(f"best.keras: {name}", "1") for name in looks.WAYS]
    assert [(one["use_embedding"], one["use_motion"]) for one in asked] == [
        (False, False),
        (False, True),
        (True, False),
        (True, True),
    ]


@pytest.mark.parametrize("words", [[], ["tfrecords/looks/val"]])
def test_records_and_a_model_are_asked_for(words):
    with pytest.raises(UsageError, match="looks: give records of videos and models"):
        program.main(["looks", *words])


def test_without_names_all_tables_that_need_no_words_are_printed(monkeypatch):
    asked = {}

    def module(name):
        table = name.rpartition(".")[2]
        return type("Module", (), {"measure": staticmethod(lambda words=None: asked.setdefault(table, words) or [])})

    monkeypatch.setattr(program.importlib, "import_module", module)
    program.main([])
    assert asked == dict.fromkeys(set(program.TABLES) - {"looks", "gpu"})
    asked.clear()
    program.main(["step", "gpu", "networks", "tiny", "1", "looks", "a", "b"])
    assert asked == {"step": None, "gpu": None, "networks": ["tiny", "1"], "looks": ["a", "b"]}
    with pytest.raises(UsageError, match="Unknown benchmark 'tiny'"):
        program.main(["tiny"])
