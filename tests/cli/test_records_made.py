import pytest
import typer
from typer.testing import CliRunner

from centernet_tf.cli.records_made import shapes, tfds
from centernet_tf.data.dataset import iterate, open_dataset
from centernet_tf.errors import UsageError

app = typer.Typer()
app.command()(shapes)
app.command()(tfds)


def call(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)))


def test_shapes_are_written_and_repeat_byte_for_byte(tmp_path):
    settings = ("--count", 5, "--size", "64x96", "--seed", 3, "--objects", "2-3", "--difficulty", 0.5)
    for name, workers in (("a", 1), ("b", 3)):
        result = call("shapes", "--out", tmp_path / name, *settings, "--workers", workers)
        assert result.exit_code == 0, result.output
        assert "written" in result.output
    dataset = open_dataset(tmp_path / "a")
    assert (dataset.images, dataset.split, len(dataset.classes)) == (5, "train", 6)
    assert {(record.width, record.height) for record in iterate(dataset)} == {(96, 64)}
    assert dataset.files[0].sha256 == open_dataset(tmp_path / "b").files[0].sha256


def test_figures_are_written_with_their_keypoints(tmp_path):
    settings = ("--pose", "--count", 4, "--size", "96x128", "--objects", "2", "--difficulty", 0.3)
    for name, workers in (("a", 1), ("b", 3)):
        result = call("shapes", "--out", tmp_path / name, *settings, "--workers", workers)
        assert result.exit_code == 0, result.output
        assert "keypoints on" in result.output
    dataset = open_dataset(tmp_path / "a")
    assert dataset.classes == ("person", "ball") and len(dataset.property("keypoints").skeleton.keypoints) == 13
    assert all(record.rows["keypoints"].shape[1:] == (13, 2) for record in iterate(dataset))
    assert dataset.files[0].sha256 == open_dataset(tmp_path / "b").files[0].sha256


def test_scenes_are_written_with_camera_and_boxes3d(tmp_path):
    settings = ("--3d", "--count", 4, "--size", "96x160", "--objects", "2-4")
    for name, workers in (("a", 1), ("b", 3)):
        result = call("shapes", "--out", tmp_path / name, *settings, "--workers", workers)
        assert result.exit_code == 0, result.output
    dataset = open_dataset(tmp_path / "a")
    assert dataset.property("boxes3d") and dataset.classes == ("car", "truck", "cabinet")
    for record in iterate(dataset):
        assert record.rows["camera"].shape == (3, 4)
        assert record.rows["has_box3d"][~record.ignored].all() and record.rows["dimensions"].shape[1:] == (3,)
    assert dataset.files[0].sha256 == open_dataset(tmp_path / "b").files[0].sha256


def test_videos_are_written_one_after_another(tmp_path):
    settings = ("--video", "--count", 2, "--frames", 3, "--size", "64x96", "--speed", 0.05, "--camera", 0, "--rate", 10)
    for name, workers in (("a", 1), ("b", 3)):
        result = call("shapes", "--out", tmp_path / name, *settings, "--objects", "2-4", "--workers", workers)
        assert result.exit_code == 0, result.output
    dataset = open_dataset(tmp_path / "a")
    found = [(record.video, record.frame) for record in iterate(dataset)]
    assert found == [(video, frame) for video in ("0000", "0001") for frame in (1, 2, 3)]
    assert dataset.property("tracks") and all("track_ids" in record.rows for record in iterate(dataset))
    assert dataset.files[0].sha256 == open_dataset(tmp_path / "b").files[0].sha256


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--speed", 0.1), "--speed is of videos. Give --video too"),
        (("--video", "--difficulty", 0.5), "--difficulty does not apply to videos"),
        (("--video", "--rate", 0), "at 0.0 a second"),
        (("--video", "--3d"), "--3d and --video exclude each other"),
    ],
)
def test_options_of_videos(options, message, tmp_path):
    result = call("shapes", "--out", tmp_path / "a", *options)
    assert isinstance(result.exception, UsageError) and message in str(result.exception)


def test_only_one_kind_of_picture_at_a_time(tmp_path):
    result = call("shapes", "--out", tmp_path, "--pose", "--3d")
    assert isinstance(result.exception, UsageError) and "--pose and --3d" in str(result.exception)


def test_masks_of_shapes(tmp_path):
    result = call("shapes", "--out", tmp_path / "a", "--count", 2, "--size", "64", "--masks")
    assert result.exit_code == 0 and " masks." in result.output
    dataset = open_dataset(tmp_path / "a")
    assert dataset.property("masks") and all(all(record.rows["segmentations"]) for record in iterate(dataset))
    result = call("shapes", "--out", tmp_path / "b", "--video", "--masks")
    assert isinstance(result.exception, UsageError) and "--video and --masks exclude" in str(result.exception)


def test_splits_of_one_seed_differ(tmp_path):
    for split in ("train", "val"):
        assert call("shapes", "--out", tmp_path / split, "--count", 2, "--size", "64", "--split", split).exit_code == 0
    train, val = (open_dataset(tmp_path / split).files[0].sha256 for split in ("train", "val"))
    assert train != val


@pytest.mark.parametrize(
    ("span", "text"),
    [
        ("", "--objects '': expected a count such as 6, or a range such as 1-6"),
        ("6-", "--objects '6-'"),
        ("a-b", "--objects 'a-b'"),
        ("6-1", "objects (6, 1) must be two counts"),
    ],
)
def test_wrong_spans_of_objects(tmp_path, span, text):
    result = call("shapes", "--out", tmp_path, f"--objects={span}", "--count", 1)
    assert isinstance(result.exception, UsageError)
    assert text in str(result.exception)


def test_tfds_passes_on_what_is_wrong(tmp_path):
    pytest.importorskip("tensorflow_datasets")
    result = call("tfds", "mnist", "--out", tmp_path)
    assert isinstance(result.exception, UsageError)
    assert "mnist has no boxes" in str(result.exception)
