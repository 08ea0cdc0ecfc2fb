"""The options at test time as they are typed, to `detect` and to `evaluate`."""

import json

import pytest

from centernet_tf.cli import main
from centernet_tf.cli.search import load_detector
from centernet_tf.errors import UsageError
from centernet_tf.media.draw import save_image
from centernet_tf.model.file import save_model


def run(*arguments):
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    return end.value.code or 0


@pytest.mark.parametrize(
    ("given", "options", "mode"),
    [
        ({}, {"flip": False, "scales": (1.0,), "tile": None}, "fixed"),
        ({"flip": True, "scales": "0.5,1, 1.5"}, {"flip": True, "scales": (0.5, 1.0, 1.5)}, "fixed"),
        ({"nms": True, "keep_resolution": True}, {"nms": True}, "keep"),
        ({"tile": "256x320"}, {"tile": (256, 320)}, "keep"),
        ({"tile": "256", "halo": 40, "keep_resolution": True}, {"tile": (256, 256), "halo": 40}, "keep"),
    ],
)
def test_what_is_typed_is_what_runs(spot_model, given, options, mode):
    detector = load_detector(spot_model, **given)
    assert {name: getattr(detector.options, name) for name in options} == options
    assert detector.card.input.mode == mode


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"size": "64", "keep_resolution": True}, "--size and --keep-resolution exclude each other"),
        ({"size": "64", "tile": "256"}, "--tile keeps the resolution of images"),
        ({"halo": 32}, "Give --tile too"),
        ({"scales": "0.5;1"}, "--scales '0.5;1': expected factors such as 0.5,1,1.5"),
        ({"scales": "0.5,0.5"}, "expected different factors"),
        ({"scales": "0,1"}, "from 0.05 to 8"),
        ({"scales": "0.5,1", "tile": "256"}, "scales and nms do not go with it"),
        ({"nms": True, "tile": "256"}, "scales and nms do not go with it"),
        ({"tile": "big"}, "--tile 'big': expected height and width"),
    ],
)
def test_impossible_combinations(spot_model, given, said):
    with pytest.raises(UsageError) as error:
        load_detector(spot_model, **given)
    assert said in str(error.value)


@pytest.mark.parametrize(
    "options", [("--flip", "--scales", "0.75,1", "--keep-resolution"), ("--nms",), ("--tile", "96", "--flip")]
)
def test_detect(spot_model, draw_spots, tmp_path, options):
    save_image(tmp_path / "a.png", draw_spots(96, 120, (30, 40, 0), (70, 90, 1)))
    assert run("detect", spot_model, tmp_path / "a.png", "--out", tmp_path / "out", "--threshold", 0.8, *options) == 0
    results = json.loads((tmp_path / "out" / "detections.json").read_text())
    assert sorted(row["category"] for row in results["images"][0]["detections"]) == ["green", "red"]


def test_heatmaps_are_in_one_piece(spot_model, draw_spots, tmp_path, capfd):
    save_image(tmp_path / "a.png", draw_spots(32, 32))
    arguments = ("detect", spot_model, tmp_path / "a.png", "--out", tmp_path / "out")
    assert run(*arguments, "--tile", 64, "--heatmaps") == 2
    assert "--heatmaps shows the heatmaps of a whole image" in capfd.readouterr().err


def test_evaluate(spot_network, spot_card, shapes_val, tmp_path, capfd):
    model = tmp_path / "spots.keras"
    save_model(model, spot_network, spot_card.model_copy(update={"classes": shapes_val.classes[:2]}))
    assert run("evaluate", model, "--data", shapes_val.directory, "--scales", "0.5,1", "--tile", "256") == 2
    assert "scales and nms do not go with it" in capfd.readouterr().err
