"""The models that come with the package: their cards, their files, and the names that stand for them."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest

import centernet_tf
from centernet_tf import recipes
from centernet_tf.config import read_settings
from centernet_tf.datasets.drawn.shapes import draw_scene
from centernet_tf.errors import UsageError
from centernet_tf.geometry.boxes import box_iou
from centernet_tf.model import shipped as shipping
from centernet_tf.model.file import read_card
from centernet_tf.model.shipped import CARD, FOLDER, MODEL, MOST_ALL, MOST_ONE, find, shipped, table

ROOT = Path(__file__).parents[2]
REAL = shipped()


def flat(settings, before=""):
    """{"a": {"b": 1}} as {"a.b": 1}."""
    found = {}
    for name, value in settings.items():
        found |= flat(value, f"{before}{name}.") if isinstance(value, dict) else {f"{before}{name}": value}
    return found


def test_there_are_some_and_nothing_else_lies_there():
    assert "drawn-shapes" in REAL
    assert {path.name for path in FOLDER.iterdir()} == {f"{name}{end}" for name in REAL for end in (MODEL, CARD)}


def test_they_are_small():
    sizes = [path.stat().st_size for path in FOLDER.glob(f"*{MODEL}")]
    assert max(sizes) <= MOST_ONE and sum(sizes) <= MOST_ALL


@pytest.mark.parametrize("name", REAL)
def test_the_card_is_that_of_the_file(name):
    one = REAL[name]
    assert one.name == name and one.checked() == FOLDER / f"{name}{MODEL}"
    assert one.size == one.path.stat().st_size
    card = read_card(name)
    assert (one.tasks, one.backbone) == (tuple(card.tasks), card.backbone)
    assert one.scores.keys() == one.scores_float32.keys() and all(0 < score <= 1 for score in one.scores.values())
    assert all(len(said) > 2 for said in (one.finds, one.data, one.licence, one.scored_on))


@pytest.mark.parametrize("name", REAL)
def test_float16_costs_nothing_that_counts(name):
    for metric, score in REAL[name].scores.items():
        assert score == pytest.approx(REAL[name].scores_float32[metric], abs=0.005), metric


@pytest.mark.parametrize("name", REAL)
def test_the_command_is_what_trained_it(name):
    one, about = REAL[name], read_card(name).about
    start, *changes = one.command.split(" --set ")
    assert start == f"centernet train {one.recipe}"
    told = flat(read_settings(recipes.find(one.recipe), changes).model_dump(mode="json"))
    trained = flat(about["settings"])
    # A later version may have further settings.
    assert len(trained.keys() & told.keys()) > 50
    assert {name: trained[name] for name in trained.keys() & told.keys()} == {
        name: told[name] for name in trained.keys() & told.keys()
    }


def test_the_documentation_has_the_table():
    assert table() in (ROOT / "docs/models.md").read_text(encoding="utf-8")
    assert table().count("\n") == len(REAL) + 1


def test_no_models_no_table(tmp_path, monkeypatch):
    monkeypatch.setattr(shipping, "FOLDER", tmp_path)
    assert (shipped(), table()) == ({}, "")


@pytest.mark.parametrize("name", ["two-spots", "two-spots.keras", Path("two-spots")])
def test_one_is_found_by_name(name, two_spots):
    assert find(name) == two_spots.path


def test_a_file_or_folder_of_ones_own_goes_first(two_spots):
    own = Path("two-spots")
    own.write_bytes(b"mine")
    assert find("two-spots") == own
    own.unlink()
    own.mkdir()
    assert find("two-spots") == own
    with pytest.raises(UsageError, match="two-spots: no such model file, but a folder"):
        centernet_tf.load("two-spots")


@pytest.mark.parametrize("name", ["two-spot", "elsewhere/two-spots", "two-spots.tflite"])
def test_what_is_not_there_is_told(name, two_spots):
    known = r"name one that comes with the package: two-spots\. Did you mean 'two-spots'\?"
    with pytest.raises(UsageError, match=f"{re.escape(name)}: no such model file. Train one with .*{known}"):
        find(name)


def test_what_is_like_nothing_has_no_guess(two_spots):
    with pytest.raises(UsageError, match=r"two-spots\.$"):
        find("/nowhere/best.keras")


def test_a_damaged_file_is_told(two_spots):
    content = bytearray(two_spots.path.read_bytes())
    content[len(content) // 2] ^= 1
    two_spots.path.write_bytes(content)
    for use in (find, centernet_tf.load, read_card):
        with pytest.raises(UsageError, match=r"two-spots\.keras is damaged or not the file .* Install centernet_tf"):
            use("two-spots")


def test_a_missing_file_is_told(two_spots):
    two_spots.path.unlink()
    with pytest.raises(UsageError, match=r"two-spots: this model comes with the package, but .* is missing"):
        find("two-spots")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"tasks": []}', '{"tasks": [], "more": 1}', '{"tasks": 1}'])
def test_a_damaged_card_is_told(text, two_spots):
    two_spots.path.with_suffix(CARD).write_text(text)
    with pytest.raises(UsageError, match=r"two-spots\.json: the card of a model is damaged"):
        find("two-spots")


def test_a_card_is_read_as_it_was_written(two_spots):
    assert shipped() == {"two-spots": two_spots}
    assert dataclasses.replace(two_spots, scores={"AP": 0.456, "OKS AP": 0.1}).told["score"] == (
        "AP 0.46, OKS AP 0.10 on scored_on"
    )


@pytest.mark.usefixtures("eagerly")
def test_the_shipped_one_finds_what_was_drawn():
    """Images that nobody trained on, in one batch; runs on every backend."""
    detector = centernet_tf.load("drawn-shapes")
    drawn = [draw_scene((20, number), size=(96, 96)) for number in range(8)]
    hits = objects = 0
    for (_, boxes, classes), found in zip(drawn, detector([image for image, _, _ in drawn], threshold=0.3)):
        overlaps = box_iou(np.asarray(boxes), found.boxes) * (np.asarray(classes)[:, None] == found.classes)
        hits += (overlaps.max(axis=1, initial=0) > 0.5).sum()
        objects += len(boxes)
    assert objects > 10 and hits >= 0.8 * objects
