"""One call writes both splits, and says how many images each has."""

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from centernet_tf.cli.records import app
from centernet_tf.data.dataset import iterate, open_dataset
from centernet_tf.errors import UsageError


def run(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return " ".join(result.stdout.split())


@pytest.fixture
def photos(tmp_path):
    """Twelve images of cats, of which the last shows a dog, too."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(12):
        cv2.imwrite(str(folder / f"{number:02d}.png"), np.full((8, 8, 3), number, np.uint8))
        rows = ["0 0.5 0.5 0.5 0.5", *(["1 0.5 0.5 1 1"] if number == 11 else [])]
        (folder / f"{number:02d}.txt").write_text("\n".join(rows))
    return folder


def call(photos, out, *options):
    return run("yolo", photos, "--classes", "cat,dog", "--out", out, "--workers", 1, *options)


def images(folder):
    return [record.filename for record in iterate(open_dataset(folder))]


def test_both_splits_are_written_and_told(photos, tmp_path):
    out = tmp_path / "tfrecords" / "mine"
    told = call(photos, out, "--validation", 0.25)
    train, val = open_dataset(out / "train"), open_dataset(out / "val")
    assert (train.name, val.name, train.split, val.split) == ("mine", "mine", "train", "val")
    assert train.classes == val.classes == ("cat", "dog")
    assert sorted(images(out / "train") + images(out / "val")) == [f"{number:02d}.png" for number in range(12)]
    assert f"Of 12 images {train.images} are for train, {val.images} for val, by seed 0." in told
    lacking = "val" if train.objects_per_class["dog"] else "train"
    assert f"{lacking} has no object of dog." in told


def test_the_seed_chooses_and_a_second_call_repeats_it(photos, tmp_path):
    found = []
    for name, seed in (("a", 1), ("b", 2), ("a", 1)):
        call(photos, tmp_path / name, "--validation", 0.5, "--seed", seed)
        found.append(images(tmp_path / name / "val"))
    assert found[0] == found[2] != found[1]


def test_one_split_is_written_as_before(photos, tmp_path):
    call(photos, tmp_path / "mine" / "train")
    assert open_dataset(tmp_path / "mine" / "train").images == 12


@pytest.mark.parametrize(
    ("out", "options", "message"),
    [
        ("mine/train", ["--validation", 0.2], "is the directory of one split; with --validation it is that of both"),
        ("mine", ["--seed", 3], "--seed 3 is of the choice that --validation makes"),
        ("mine", ["--validation", 2], "validation is 2; expected a fraction"),
        ("mine", ["--validation", 0.0001], "There must be some in val"),
    ],
)
def test_impossible_calls_write_nothing(out, options, message, photos, tmp_path):
    with pytest.raises(UsageError, match=message):
        call(photos, tmp_path / out, *options)
    assert not (tmp_path / "mine").exists()


def test_records_of_one_split_are_not_built_over(photos, tmp_path):
    call(photos, tmp_path / "mine")
    with pytest.raises(UsageError, match="is the directory of one split"):
        call(photos, tmp_path / "mine", "--validation", 0.2)


def test_masks_are_read_for_either_split(tmp_path):
    """As all that is made on the way, for each split anew."""
    for number in range(6):
        folder = tmp_path / "cells" / f"cell{number}"
        for kind in ("images", "masks"):
            (folder / kind).mkdir(parents=True)
            cv2.imwrite(str(folder / kind / f"{number}.png"), np.full((8, 8, 3), 200, np.uint8))
    run("masks", tmp_path / "cells", "--out", tmp_path / "out", "--validation", 0.5)
    counts = [open_dataset(tmp_path / "out" / split).objects for split in ("train", "val")]
    assert sum(counts) == 6 and min(counts) > 0


@pytest.mark.parametrize("command", [one.name or one.callback.__name__ for one in app.registered_commands])
def test_all_that_read_images_divide_them(command):
    """But for drawn shapes, which have a seed of their own, and records that are there already."""
    options = next(one for one in app.registered_commands if (one.name or one.callback.__name__) == command)
    wanted = command not in ("shapes", "index")
    assert ("validation" in options.callback.__annotations__) == wanted
