import functools
import hashlib
import urllib.error

import keras
import pytest

from centernet_tf.backbones import BACKBONES
from centernet_tf.checkpoints.trunks import TRUNKS, trunk_file, trunk_of
from centernet_tf.errors import UsageError
from centernet_tf.model.network import build_network
from centernet_tf.points.centers import Centers
from centernet_tf.training import train


@pytest.fixture
def offered(tmp_path, monkeypatch):
    """A function (bytes, name) that lays a file where the trunk of resnet18 is said to be."""

    (tmp_path / "cache").mkdir()

    def offer(content, name=None):
        path = tmp_path / (name or f"resnet18-{hashlib.sha256(content).hexdigest()[:8]}.pth")
        path.write_bytes(content)
        monkeypatch.setitem(TRUNKS, "resnet18", path.as_uri())
        return path

    return offer


def test_every_trunk_is_of_a_backbone_and_tells_its_checksum():
    for name, address in TRUNKS.items():
        assert BACKBONES[name].build
        assert len(address.rpartition("-")[2].removesuffix(".pth")) == 8


@pytest.mark.parametrize(
    ("backbone", "trunk"),
    [
        ("resnet18", "resnet18"),
        ("resnet101_dcn", "resnet101"),
        ("resnet34_fpn", "resnet34"),
        ("dla34_dcn_3level_glob", "dla34"),
        ("hourglass104", None),
        ("mobilenetv2_fpn:0.5", None),
        ("keras_application:ResNet50", None),
        ("tiny", None),
    ],
)
def test_which_backbones_have_one(backbone, trunk):
    assert trunk_of(backbone) == trunk


def test_it_comes_once(offered, tmp_path):
    path = offered(b"weights")
    first = trunk_file("resnet18", tmp_path / "cache")
    assert first.read_bytes() == b"weights" and first.is_relative_to(tmp_path / "cache")
    path.unlink()
    assert trunk_file("resnet18", tmp_path / "cache") == first


def test_another_file_is_not_kept(offered, tmp_path):
    content = b"not found, said the server"
    offered(content, "resnet18-5c106cde.pth")
    for _ in range(2):
        with pytest.raises(UsageError) as error:
            trunk_file("resnet18", tmp_path / "cache")
        starts = hashlib.sha256(content).hexdigest()[:8]
        assert f"gave a file whose SHA-256 starts with {starts}, expected 5c106cde; it was deleted." in str(error.value)
    assert not list((tmp_path / "cache" / "models").iterdir())


def test_no_network(monkeypatch):
    def refuse(*arguments, **options):
        raise Exception("URL fetch failure on https://somewhere: None") from urllib.error.URLError("refused")

    monkeypatch.setattr(keras.utils, "get_file", refuse)
    with pytest.raises(UsageError) as error:
        trunk_file("resnet50")
    assert str(error.value) == (
        "weights: imagenet: the trunk of resnet50 cannot be downloaded (URL fetch failure on https://somewhere: None). "
        "Fetch resnet50-19c8e357.pth on another machine and set weights to its path."
    )


def test_a_training_starts_from_it(offered, tmp_path, monkeypatch):
    torch = pytest.importorskip("torch", reason="writing checkpoints needs the extra [torch]")
    state = {"conv1.weight": torch.full((64, 3, 7, 7), 0.25), "fc.weight": torch.ones(1000, 512)}
    for stage, width in enumerate((64, 128, 256, 512), start=1):
        for name, before in (("0.conv1", max(64, width // 2)), ("0.conv2", width), ("1.conv1", width)):
            state[f"layer{stage}.{name}.weight"] = torch.full((width, before, 3, 3), 0.5)
    torch.save(state, tmp_path / "made.pth")
    offered((tmp_path / "made.pth").read_bytes())
    monkeypatch.setattr(train, "trunk_file", functools.partial(trunk_file, folder=tmp_path / "cache"))
    network = build_network("resnet18_fpn", Centers(3).heads())
    assert f"13 of {len(network.weights)} weights loaded" in train._start(network, "resnet18_fpn", "imagenet")
    kernel = network.get_layer("resnet18_fpn").get_layer("stem_image_conv").kernel
    assert (keras.ops.convert_to_numpy(kernel) == 0.25).all()
