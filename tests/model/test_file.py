"""A model file is whole, says what it is, and every file that is none is told so by name."""

import json
import zipfile

import keras
import numpy as np
import pytest
from keras import ops

from centernet_tf import layers
from centernet_tf.errors import DataError, UsageError
from centernet_tf.model.card import FORMAT
from centernet_tf.model.file import CARD, load_model, read_card, save_model
from centernet_tf.model.network import build_network


def maps(network):
    """All maps for one fixed image, by head and stack."""
    image = np.random.default_rng(0).random((1, 64, 96, 3), np.float32)
    outputs = network(image, training=False)
    return {
        f"{head} {stack}": ops.convert_to_numpy(values)
        for head, stacks in outputs.items()
        for stack, values in enumerate(stacks)
    }


def rewrite(source, target, card):
    """Copies a model file with another card, text or None for none."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            if name != CARD:
                new.writestr(name, old.read(name))
        if card is not None:
            new.writestr(CARD, card)


def own_layers():
    """A network of every layer that Keras does not have."""
    image = keras.Input((64, 96, 3), name="image")
    x = layers.NearestUpsample()(layers.DeformableConv2D(4)(keras.layers.Conv2D(4, 8, 8)(image)))
    x = layers.UnfoldFrames(1)(layers.FoldFrames()(keras.layers.Reshape((1, 16, 24, 4))(x)))
    x = layers.DepthwiseUpsample(2)(keras.layers.AveragePooling2D(2)(x))
    return keras.Model(
        image, {name: [keras.layers.Conv2D(2, 1, name=name)(x)] for name in ("heatmap", "offset", "size")}
    )


@pytest.mark.parametrize("kind", ["spots", "tiny", "own layers"])
def test_round_trip_gives_the_same_maps(kind, spot_network, spot_card, tmp_path):
    network = {
        "spots": lambda: spot_network,
        "tiny": lambda: build_network("tiny", spot_card.task_set().heads),
        "own layers": own_layers,
    }[kind]()
    card = spot_card.model_copy(update={"backbone": kind, "about": {"score": 0.5, "data": ["a", {"b": None}]}})
    if kind == "own layers":
        card = card.model_copy(update={"input": card.input.resized((64, 96))})
    path = tmp_path / "new" / "folder" / "model.keras"
    save_model(path, network, card)
    assert [child.name for child in path.parent.iterdir()] == ["model.keras"]
    loaded, said = load_model(path)
    assert said == card
    before, after = maps(network), maps(loaded)
    assert list(before) == list(after) == ["heatmap 0", "offset 0", "size 0"]
    for name, values in before.items():
        np.testing.assert_array_equal(after[name], values)


def test_card_holds_all_that_a_detector_needs(spot_model, spot_card):
    with zipfile.ZipFile(spot_model) as archive:
        assert archive.testzip() is None
        content = json.loads(archive.read(CARD))
    assert content == {
        "format": FORMAT,
        "tasks": {"detect": {}},
        "backbone": "mobilenetv2_fpn",
        "classes": ["red", "green"],
        "max_objects": 20,
        "class_specific_size": False,
        "ltrb": False,
        "iou_aware": 0.0,
        "thresholds": None,
        "head_channels": None,
        "input": {
            "mode": "fixed",
            "height": 128,
            "width": 128,
            "stride": 32,
            "mean": [0, 0, 0],
            "std": [1, 1, 1],
            "order": "rgb",
            "fill": 0,
            "resample": "bilinear",
        },
        "about": {},
    }
    assert read_card(spot_model) == spot_card
    assert keras.models.load_model(spot_model, compile=False).count_params() > 0


def test_a_failed_save_leaves_the_older_file(spot_model, spot_network, spot_card, tmp_path, monkeypatch):
    path = tmp_path / "model.keras"
    save_model(path, spot_network, spot_card)
    older = path.read_bytes()

    def full_disk(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "writestr", full_disk)
    with pytest.raises(DataError, match="No space left"):
        save_model(path, spot_network, spot_card.model_copy(update={"classes": ("other", "names")}))
    assert path.read_bytes() == older
    assert [child.name for child in tmp_path.iterdir()] == ["model.keras"]


@pytest.mark.parametrize("name", ["model.h5", "model", "model.keras.zip"])
def test_other_suffixes_are_refused(name, spot_network, spot_card, tmp_path):
    with pytest.raises(UsageError, match=rf"{name}: a model's file name ends in \.keras; try .*\.keras"):
        save_model(tmp_path / name, spot_network, spot_card)
    assert not list(tmp_path.iterdir())


def foreign(path, model):
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save(path)


SOUND = {"height": 64, "width": 64, "stride": 32}


def changed(**changes):
    def write(path, model):
        with zipfile.ZipFile(model) as archive:
            card = json.loads(archive.read(CARD))
        rewrite(model, path, json.dumps({**card, **changes}))

    return write


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (lambda path, model: None, "no such model file. Train one"),
        (lambda path, model: path.mkdir(), "no such model file"),
        (lambda path, model: path.write_bytes(b""), "not a .keras file, or one that was cut off"),
        (lambda path, model: path.write_text("weights: none\n"), "not a .keras file, or one that was cut off"),
        (lambda path, model: path.write_bytes(model.read_bytes()[:3000]), "not a .keras file, or one that was cut off"),
        (foreign, "a Keras model, but not one of ours: centernet.json is not in it"),
        (changed(format=FORMAT + 1), f"model format {FORMAT + 1}, but this version reads {FORMAT}. Upgrade"),
        (changed(format=None), "model format None"),
        (changed(classes=None), "centernet.json is damaged: classes:"),
        (changed(clases=[]), "centernet.json is damaged: clases: unknown setting."),
        (changed(tasks=["detect"]), "centernet.json is damaged: tasks:"),
        (changed(tasks={}), "centernet.json is damaged: tasks: Tasks []: name at least one"),
        (changed(tasks={"detect": {"sise": 1}}), "centernet.json is damaged: tasks: detect.sise: unknown setting."),
        (changed(tasks={"box3d": {"camera": [1]}}), "centernet.json is damaged: tasks: box3d.camera: A camera is 3x4"),
        (
            changed(tasks={"detec": {}}),
            "unknown task 'detec'. Did you mean 'detect'? Known: action, box3d, detect, hoi, mask, pose, reid, track.",
        ),
        (changed(input={"height": 0, "width": 64, "stride": 32}), "centernet.json is damaged: input.height:"),
        (changed(input={**SOUND, "mean": [0, float("nan"), 0]}), "centernet.json is damaged: input.mean.1:"),
        (changed(input={**SOUND, "mean": [0, 1e300, 0]}), "centernet.json is damaged: input.mean.1:"),
        (changed(input={**SOUND, "std": [1, 1, 0]}), "centernet.json is damaged: input.std.2:"),
        (changed(input={**SOUND, "std": [1, -1, 1]}), "centernet.json is damaged: input.std.1:"),
        (changed(input={**SOUND, "std": [float("inf"), 1, 1]}), "centernet.json is damaged: input.std.0:"),
        (lambda path, model: rewrite(model, path, b"[" * 100_000), "centernet.json is damaged: "),
        (lambda path, model: rewrite(model, path, '{"format": 1, "ta'), "centernet.json is damaged: "),
        (lambda path, model: rewrite(model, path, b"\xff\xfe\x00"), "centernet.json is damaged: "),
        (lambda path, model: rewrite(model, path, "[1, 2]"), "centernet.json is damaged: "),
    ],
)
def test_files_that_are_no_model_of_ours(write, said, spot_model, tmp_path):
    path = tmp_path / "odd.keras"
    write(path, spot_model)
    for reader in (read_card, load_model):
        with pytest.raises(UsageError) as error:
            reader(path)
        assert str(error.value).startswith(f"{path}: ")
        assert said in str(error.value)


def damage(name):
    def write(source, target):
        with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
            for member in old.namelist():
                if member != name:
                    new.writestr(member, old.read(member))
                elif name == "config.json":
                    new.writestr(member, old.read(member).replace(b"Conv2D", b"Conv9D"))
                else:
                    new.writestr(member, old.read(member)[:-600])

    return write


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (changed(classes=["a", "b", "c"]), "it says (24, 24, 3) for head 'heatmap'"),
        (changed(classes=["a"]), "it says (24, 24, 1) for head 'heatmap' of inputs (96, 96), but the network gives"),
        (changed(class_specific_size=True), "it says (24, 24, 4) for head 'size'"),
        (changed(tasks={"detect": {}, "box3d": {}}), "it says heads ['depth', 'dimensions', 'heatmap'"),
        (changed(input={**SOUND, "height": 80}), "it says input 80x64, which are no multiples of its stride 32"),
        (changed(input={**SOUND, "stride": 1}), "it says stride 1, which is no multiple of a map's 4"),
        (changed(input={**SOUND, "stride": 2}), "it says stride 2, which is no multiple"),
    ],
)
def test_a_card_that_contradicts_its_network(write, said, spot_model, tmp_path):
    path = tmp_path / "odd.keras"
    write(path, spot_model)
    with pytest.raises(UsageError) as error:
        load_model(path)
    assert str(error.value).startswith(f"{path}: centernet.json contradicts the network: ")
    assert said in str(error.value)


def network_of(*heads, channels=3, names=True):
    image = keras.Input((None, None, channels), name="image")
    x = keras.layers.AveragePooling2D(4)(image)
    maps = {name: [keras.layers.Conv2D(2, 1, name=name)(x)] for name in heads}
    return keras.Model(image, maps if names else next(iter(maps.values()))[0])


@pytest.mark.parametrize(
    ("network", "said"),
    [
        (lambda: network_of("heatmap", "offset"), "the network has ['heatmap', 'offset']"),
        (
            lambda: network_of("heatmap", "offset", "size", "depth"),
            "the network has ['depth', 'heatmap', 'offset', 'si",
        ),
        (lambda: network_of("heatmap", names=False), "the network has none with a name"),
        (lambda: network_of("heatmap", "offset", "size", channels=4), "it says inputs of channels {'image': 3}, but"),
        (lambda: own_layers(), "it says input 128x128, but the network takes 64x96 only"),
    ],
)
def test_a_network_that_is_not_what_its_card_says(network, said, spot_card, tmp_path):
    path = tmp_path / "odd.keras"
    save_model(path, network(), spot_card)
    with pytest.raises(UsageError) as error:
        load_model(path)
    assert said in str(error.value)


def test_a_network_of_a_larger_stride(spot_card, tmp_path):
    image = keras.Input((None, None, 3), name="image")
    x = keras.layers.AveragePooling2D(4)(image)
    deep = keras.layers.UpSampling2D(16)(keras.layers.AveragePooling2D(16)(x))  # 64 pixels to a cell
    maps = {
        name: [keras.layers.Conv2D(2, 1, name=name)(keras.layers.Add()([x, deep]))]
        for name in ("heatmap", "offset", "size")
    }
    save_model(tmp_path / "odd.keras", keras.Model(image, maps), spot_card)
    with pytest.raises(UsageError, match="the network does not take inputs of 96x96"):
        load_model(tmp_path / "odd.keras")


@pytest.mark.parametrize("name", ["config.json", "model.weights.h5"])
def test_a_network_that_cannot_be_rebuilt(name, spot_model, tmp_path):
    path = tmp_path / "odd.keras"
    damage(name)(spot_model, path)
    assert read_card(path).classes == ("red", "green")
    with pytest.raises(UsageError, match=r"odd\.keras: the network in it cannot be rebuilt"):
        load_model(path)


def test_a_flipped_byte_is_noticed(spot_model, tmp_path):
    data = bytearray(spot_model.read_bytes())
    with zipfile.ZipFile(spot_model) as archive:
        place = archive.getinfo("model.weights.h5").header_offset + 200
    data[place] ^= 0xFF
    path = tmp_path / "odd.keras"
    path.write_bytes(data)
    with pytest.raises(UsageError, match=r"odd\.keras: "):
        load_model(path)
