"""A trained model comes into the package with its scores, or nothing does."""

from pathlib import Path

import keras
import numpy as np
import pytest

from centernet_tf import recipes
from centernet_tf.cli import add_model
from centernet_tf.cli.add_model import add, command_of, main
from centernet_tf.config import read_settings
from centernet_tf.errors import DataError, UsageError
from centernet_tf.host.files import write_json
from centernet_tf.model import shipped as shipping
from centernet_tf.model.file import save_model
from centernet_tf.model.shipped import Shipped, find, shipped

CHANGES = ["backbone=mobilenetv2_fpn:0.5", "train.epochs=20", "data.size=[64,64]"]
COMMAND = (
    "centernet train detect_shapes --set backbone=mobilenetv2_fpn:0.5 --set data.size=[64, 64] --set train.epochs=20"
)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """An empty folder in place of the package's own."""
    folder = tmp_path / "package"
    folder.mkdir()
    monkeypatch.setattr(shipping, "FOLDER", folder)
    return folder


def trained(card, *changes):
    """A card that says by which settings the network was trained."""
    settings = read_settings(recipes.find("detect_shapes"), [*CHANGES, *changes]).model_dump(mode="json")
    return card.model_copy(update={"about": {"settings": settings}})


@pytest.fixture
def model(spot_card, shapes_val, tmp_path):
    """A network that finds something of each class everywhere, so that it has a score."""
    image = keras.Input((None, None, 3))
    mean = keras.layers.AveragePooling2D(4)(image)
    widths = {"heatmap": len(shapes_val.classes), "offset": 2, "size": 2}
    heads = {name: keras.layers.Conv2D(width, 1, name=name) for name, width in widths.items()}
    network = keras.Model(image, {name: [head(mean)] for name, head in heads.items()})
    heads["size"].set_weights([np.zeros((1, 1, 3, 2)), np.array([7, 7])])
    save_model(tmp_path / "best.keras", network, trained(spot_card.model_copy(update={"classes": shapes_val.classes})))
    return tmp_path / "best.keras"


@pytest.fixture
def given(model, shapes_val):
    """The arguments of `add`."""
    told = {"recipe": "detect_shapes", "finds": "drawn shapes", "data": "24 drawn images", "licence": "MIT"}
    return {"model": model, "name": "some-shapes", "records": Path(shapes_val.directory), **told}


@pytest.fixture
def older(package):
    """A model of the same name, and one of another, both of 1000 bytes; adding looks at their cards alone."""
    told = dict.fromkeys(("finds", "backbone", "data", "licence", "scored_on", "recipe", "command", "sha256"), "")
    for name in ("some-shapes", "others"):
        made = Shipped(name=name, tasks=(), scores={}, scores_float32={}, size=1000, **told)
        write_json(package / f"{name}.json", made.as_dict())
    (package / "some-shapes.keras").write_bytes(b"older")


def test_a_model_comes_in_and_replaces_another(package, older, given, capsys):
    arguments = [str(given.pop("model")), given.pop("name")]
    main([*arguments, *(part for name, value in given.items() for part in (f"--{name}", str(value)))])
    made = shipped()["some-shapes"]
    assert capsys.readouterr().out.startswith(f"{package / 'some-shapes.keras'}: {made.size} bytes, {{'AP': ")
    assert find("some-shapes") == package / "some-shapes.keras"
    assert (made.tasks, made.backbone, made.command) == (("detect",), "mobilenetv2_fpn", COMMAND)
    assert (made.finds, made.scored_on, made.licence) == ("drawn shapes", "8 others", "MIT")
    assert made.scores.keys() == made.scores_float32.keys() == {"AP"}
    assert {path.name for path in package.iterdir()} == {"some-shapes.keras", "some-shapes.json", "others.json"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "Some Shapes"}, "Some Shapes: a model's name has small letters"),
        ({"name": "../shapes"}, "a model's name has small letters"),
        ({"recipe": "detect_shape"}, "detect_shape: no such file, and no recipe of that name"),
        ({"records": Path("nowhere")}, "nowhere: no such directory of records"),
        ({"model": Path("nowhere.keras")}, "nowhere.keras: no such model file"),
    ],
)
def test_wrong_calls(changes, message, package, given):
    with pytest.raises(UsageError, match=message):
        add(**{**given, **changes})
    assert not list(package.iterdir())


@pytest.mark.parametrize(("limit", "size"), [("MOST_ONE", 1000), ("MOST_ALL", 2000)])
def test_a_large_one_stays_out(limit, size, package, given, monkeypatch):
    monkeypatch.setattr(add_model, limit, size)
    with pytest.raises(UsageError, match=rf"some-shapes: \d+ bytes, and 0 of the other models; .* {size} of"):
        add(**given)
    assert not list(package.iterdir())


def test_others_count_and_the_one_that_is_replaced_does_not(older, given, monkeypatch):
    monkeypatch.setattr(add_model, "MOST_ALL", 1000)
    with pytest.raises(UsageError, match=r"some-shapes: \d+ bytes, and 1000 of the other models"):
        add(**given)
    assert shipped()["some-shapes"].size == 1000


def test_a_full_disk_leaves_nothing(package, given, small_disk):
    with small_disk(1000), pytest.raises(DataError, match="cannot be written"):
        add(**given)
    assert not list(package.iterdir())


def test_the_program_says_what_is_wrong(package, given):
    wanted = ("records", "recipe", "finds", "data", "licence")
    with pytest.raises(SystemExit, match="add_model: A: a model's name has"):
        main([str(given["model"]), "A", *(part for name in wanted for part in (f"--{name}", str(given[name])))])


def test_commands_that_train(spot_card):
    assert command_of("detect_shapes", trained(spot_card)) == COMMAND
    with pytest.raises(UsageError, match="does not say how it was trained"):
        command_of("detect_shapes", spot_card)


@pytest.mark.parametrize("place", ["/home/somebody/records", "C:\\records"])
def test_places_of_a_machine_stay_out(place, spot_card):
    with pytest.raises(UsageError, match=r"data\.train is .*, a place of one machine"):
        command_of("detect_shapes", trained(spot_card, f"data.train={place}"))
