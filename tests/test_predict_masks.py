"""`centernet detect` and `evaluate` with a model that finds masks, of a task of this file: every object is a disc."""

import json

import cv2
import numpy as np
import pytest
from keras import ops
from pycocotools import mask as coco

from centernet_tf import load
from centernet_tf.cli import main
from centernet_tf.data.record import Record
from centernet_tf.evaluation import score
from centernet_tf.media.draw import save_image
from centernet_tf.model.file import save_model
from centernet_tf.points.task import Find, Task, TaskSettings
from centernet_tf.properties.masks import Masks
from centernet_tf.tasks import TASKS

SIDE = 16
STEPS = (np.arange(SIDE) + 0.5) / SIDE * 2 - 1
DISC = np.float32(np.hypot(STEPS[:, None], STEPS) < 1)


class Discs(TaskSettings):
    """Finds one and the same mask everywhere."""

    def build(self, centers):
        def decode(outputs, peaks):
            batch, count = ops.shape(peaks["index"])
            return {**centers.decode(outputs, peaks), "masks": ops.broadcast_to(DISC, (batch, count, SIDE, SIDE))}

        return Task(
            name="discs",
            property=Masks(side=SIDE),
            heads=centers.heads(),
            terms=centers.terms(),
            encode=centers.encode,
            decode=decode,
            finds=(Find("masks"),),
        )


@pytest.fixture
def model(monkeypatch, tmp_path, spot_network, spot_card):
    monkeypatch.setitem(TASKS, "discs", Discs)
    save_model(tmp_path / "discs.keras", spot_network, spot_card.model_copy(update={"tasks": {"discs": {}}}))
    return tmp_path / "discs.keras"


@pytest.fixture
def picture(tmp_path, draw_spots):
    path = tmp_path / "in" / "a.jpg"
    save_image(path.with_suffix(".png"), draw_spots(96, 64, (30, 40, 0), (70, 20, 1)))
    path.with_suffix(".png").rename(path)
    return path


def detect(model, *arguments):
    with pytest.raises(SystemExit) as ended:
        main(["detect", str(model), *map(str, arguments)])
    return ended.value.code or 0


def test_all_results_tell_the_same_masks(model, picture, tmp_path):
    folders = {"--label-images": tmp_path / "labels", "--mask-images": tmp_path / "objects"}
    options = [text for pair in folders.items() for text in pair]
    assert detect(model, picture, "--out", tmp_path / "out", *options) == 0
    (line,) = json.loads((tmp_path / "out" / "detections.json").read_text())["images"]
    masks = np.array([coco.decode(one["segmentation"]) for one in line["detections"]])
    assert masks.shape == (2, 64, 96)
    for mask, row in zip(masks, line["detections"]):
        left, top, width, height = row["bbox"]
        assert mask.sum() == pytest.approx(np.pi / 4 * width * height, rel=0.1)
        assert mask[round(top + height / 2), round(left + width / 2)] and not mask[round(top), round(left)]
    labels = cv2.imread(str(tmp_path / "labels" / "a.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(labels, masks[0] + 2 * masks[1])
    objects = sorted((tmp_path / "objects" / "a").iterdir())
    assert [path.name for path in objects] == [
        f"00{n}_{one['category']}.png" for n, one in enumerate(line["detections"], 1)
    ]
    for path, mask in zip(objects, masks):
        np.testing.assert_array_equal(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), 255 * mask)
    drawn = cv2.imread(str(tmp_path / "out" / "a.jpg"))
    assert (drawn[masks.any(axis=0)].mean(axis=0) != cv2.imread(str(picture))[masks.any(axis=0)].mean(axis=0)).all()


def test_models_without_masks_are_refused(spot_model, picture, tmp_path, capsys):
    assert detect(spot_model, picture, "--out", tmp_path / "out", "--label-images", tmp_path / "labels") == 2
    assert "--label-images: this model finds no masks. Leave it out." in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "out").exists() and not (tmp_path / "labels").exists()


def test_its_masks_are_scored(model, picture):
    found = load(model)(picture)
    rows = found.rows_at_pixels
    areas = np.float32([coco.area({"size": [64, 96], "counts": counts}) for counts in rows["segmentations"]])
    none = np.zeros(2, bool)
    truth = Record(
        b"",
        "jpeg",
        96,
        64,
        1,
        "a.jpg",
        found.boxes,
        found.classes,
        none,
        none,
        areas,
        rows={"segmentations": rows["segmentations"]},
    )
    scores = score([(truth, found)], found.names, found.properties)
    assert scores.main == {"AP": pytest.approx(1), "mask AP": pytest.approx(1)}
