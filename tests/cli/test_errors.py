"""`centernet evaluate`: errors, oracles and fitted thresholds, through the command."""

import json

import cv2
import numpy as np
import pytest

from centernet_tf.cli import main
from centernet_tf.datasets.items import Item
from centernet_tf.datasets.writer import write_records
from centernet_tf.detector.detector import load

pytestmark = pytest.mark.usefixtures("eagerly")


SPOTS = [(20, 20, 0), (44, 40, 1)], [(30, 30, 1)], [(30, 30, 0)]


@pytest.fixture(scope="module")
def records(tmp_path_factory, draw_spots, spot_model):
    """Folders "right", where the truth is what the spot detector finds, and "wrong": one object more in one image."""
    detector, folder = load(spot_model), tmp_path_factory.mktemp("records")
    for kind in ("right", "wrong"):
        items = []
        for number, spots in enumerate(SPOTS):
            image, name = draw_spots(64, 64, *spots), f"{number}.png"
            found = detector(image, threshold=0.3)
            boxes, classes = np.clip(found.boxes, 0, 64), list(found.class_names)
            if kind == "wrong" and number == 2:
                boxes, classes = np.append(boxes, [[50, 50, 62, 62]], axis=0), [*classes, "green"]
            items.append(Item(key=name, image_id=number, source=image, filename=name, boxes=boxes, classes=classes))
        write_records(items, directory=folder / kind, name=kind, split="val", classes=detector.names)
    return folder


def run(capsys, *arguments):
    """(exit code, standard output, standard error) of a command."""
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return ended.value.code or 0, *(" ".join(text.split()) for text in capsys.readouterr())


def test_errors_are_told_in_every_form(spot_model, records, tmp_path, capsys):
    numbers, sheet, board = tmp_path / "scores.json", tmp_path / "sheet.png", tmp_path / "board"
    arguments = ["evaluate", spot_model, "--data", records / "wrong", "--errors-sheet", sheet, "--tensorboard", board]
    code, shown, _ = run(capsys, *arguments, "--json", numbers)
    assert code == 0 and "What is missing, and why" in shown and str(board) in shown
    told = json.loads(numbers.read_text())["errors"]
    assert told["classes"]["green"]["missed"] == 1 and told["classes"]["red"]["missed"] == 0
    assert sum(row["in order"] for row in told["kinds"].values()) == pytest.approx(1 - told["AP"])
    assert told["missing"] > 0.1
    assert cv2.imread(str(sheet)).shape[1] < 2 * 480  # one image has errors
    assert list(board.glob("events*"))


def test_without_errors_there_is_no_sheet(spot_model, records, tmp_path, capsys):
    sheet = tmp_path / "sheet.png"
    code, shown, _ = run(capsys, "evaluate", spot_model, "--data", records / "right", "--errors-sheet", sheet)
    assert code == 0 and "so there is no sheet" in shown and not sheet.exists()


def test_any_iou_makes_a_hit_but_none_above_one(spot_model, records, capsys):
    arguments = "evaluate", spot_model, "--data", records / "wrong", "--errors-iou"
    assert "AP at IoU 0.75" in run(capsys, *arguments, "0.75")[1]
    code, _, error = run(capsys, *arguments, "50")
    assert code == 2 and "IoU 50: expected above 0 and at most 1" in error


def test_oracles_make_a_row_each(spot_model, records, tmp_path, capsys):
    numbers = tmp_path / "scores.json"
    arguments = ["evaluate", spot_model, "--data", records / "wrong", "--json", numbers]
    code, shown, _ = run(capsys, *arguments, "--oracle", "size, offset", "--oracle", "all")
    assert code == 0 and "ground truth of" in shown
    rows = json.loads(numbers.read_text())["oracles"]
    named = [["heatmap"], ["offset"], ["size"], ["heatmap", "offset", "size"]]
    assert [row["heads"] for row in rows] == [[], ["size", "offset"], *named]
    assert rows[-1]["AP"] == pytest.approx(1.0) and rows[0]["AP50"] < 0.9
    code, _, error = run(capsys, *arguments, "--oracle", "sizes")
    assert code == 2 and "Did you mean 'size'" in error


def test_fitted_thresholds_are_used_where_none_is_given(spot_model, records, tmp_path, capsys):
    fitted, numbers = tmp_path / "fitted.keras", tmp_path / "scores.json"
    arguments = "evaluate", spot_model, "--data", records / "right", "--json", numbers, "--fit-thresholds"
    code, shown, _ = run(capsys, *arguments, fitted)
    assert code == 0 and str(fitted) in shown
    told = json.loads(numbers.read_text())["thresholds"]
    detector = load(fitted)
    assert detector.card.thresholds == tuple(told[name]["threshold"] for name in detector.names)
    assert told["red"]["F1"] == 1 and detector.card.about["thresholds"]["data"] == "right/val"
    image = tmp_path / "a.png"
    cv2.imwrite(str(image), np.zeros((64, 64, 3), np.uint8))
    for more, expected in (((), {name: told[name]["threshold"] for name in told}), (("--threshold", "0.4"), 0.4)):
        assert run(capsys, "detect", fitted, image, "--out", tmp_path / "out", *more)[0] == 0
        assert json.loads((tmp_path / "out" / "detections.json").read_text())["threshold"] == expected


def test_thresholds_are_fitted_to_the_model_as_it_is(spot_model, records, tmp_path, capsys):
    arguments = "evaluate", spot_model, "--data", records / "right", "--fit-thresholds"
    code, _, error = run(capsys, *arguments, tmp_path / "model.h5")
    assert code == 2 and "ends in .keras; try" in error
    code, _, error = run(capsys, *arguments, tmp_path / "model.keras", "--flip")
    assert code == 2 and "--fit-thresholds: with --flip" in error
