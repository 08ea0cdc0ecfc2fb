"""`centernet track` from the outside: what it prints, writes and returns."""

import json
import sys

import keras
import numpy as np
import pytest

from centernet_tf.cli import main
from centernet_tf.media import flow
from centernet_tf.media.draw import save_image
from centernet_tf.media.flow import as_picture
from centernet_tf.media.video import VideoReader, VideoWriter, told_codec
from centernet_tf.model.card import InputCard, ModelCard
from centernet_tf.model.file import save_model
from centernet_tf.model.network import build_network
from centernet_tf.properties.tracks.mot_files import read_rows

pytestmark = pytest.mark.usefixtures("eagerly")


def save_tracking_model(path, names=("red", "green")):
    """Finds red and green spots as `spot_network` does, 8 x 6 cells large, and says that they moved 2 cells right."""
    image, previous = (keras.Input((None, None, 3), name=name) for name in ("image", "previous"))
    prior = keras.Input((None, None, 1), name="prior")
    mean = keras.layers.AveragePooling2D(4)(image)
    unused = [keras.layers.Conv2D(2, 4, 4, kernel_initializer="zeros", name=f"{one.name}_unused")(one)
              for one in (previous, prior)]  # fmt: skip
    maps = {}
    for name in ("heatmap", "offset", "size", "displacement"):
        count = len(names) if name == "heatmap" else 2
        layer = keras.layers.Conv2D(count, 1, name=name)
        maps[name] = [keras.layers.Add(name=f"{name}_map")([layer(mean), *(one[..., :count] for one in unused)])]
        kernel, bias = np.zeros((1, 1, 3, 2)), {"offset": (0.5, 0.5), "size": (8, 6), "displacement": (-2, 0)}
        if name == "heatmap":
            kernel[0, 0] = [[16, -16], [-16, 16], [-16, -16]]
        layer.set_weights([kernel[..., :count], np.float32(bias.get(name, (-6, -6)))[:count]])
    network = keras.Model({"image": image, "previous": previous, "prior": prior}, maps)
    plain = InputCard(height=128, width=128, stride=32, mean=(0, 0, 0), std=(1, 1, 1), order="rgb")
    card = ModelCard(tasks={"track": {}}, backbone="mobilenetv2_fpn", classes=names, max_objects=20, input=plain)
    save_model(path, network, card)
    return path


@pytest.fixture(scope="session")
def tracking_model(tmp_path_factory):
    return save_tracking_model(tmp_path_factory.mktemp("model") / "tracks.keras")


@pytest.fixture
def call(tracking_model, tmp_path, monkeypatch, capfd):
    """Function (*arguments behind the model) -> exit code, output, errors; runs in tmp_path."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments, model=tracking_model):
        with pytest.raises(SystemExit) as end:
            main(["track", str(model), *map(str, arguments)])
        return end.value.code or 0, *capfd.readouterr()

    return run


def moving(draw_spots, count, size=(128, 128)):
    """A red spot that moves right by 8 pixels a frame, and a green one that stands still from the third on."""
    for number in range(count):
        spots = [(28 + 8 * number, 36, 0), *([(60, 100, 1)] if number >= 2 else [])]
        yield draw_spots(*size, *spots)


@pytest.fixture
def frames(tmp_path, draw_spots):
    """A folder of eleven frames whose names have no leading zeros."""
    for number, image in enumerate(moving(draw_spots, 11)):
        save_image(tmp_path / "seq" / "img1" / f"{number}.png", image)
    return tmp_path / "seq" / "img1"


def test_a_video(call, tmp_path, draw_spots):
    writer = VideoWriter(tmp_path / "clip.mp4", 10, (128, 128))
    for image in moving(draw_spots, 5):
        writer.write(image)
    writer.close()
    code, output, errors = call("clip.mp4", "--out", "out", "--mot", "--max-frames", "4")
    assert (code, errors.strip()) == (0, "")
    assert output.splitlines() == [
        "2 identities",
        "4 frames of 1 video: 6 objects (4 red, 2 green)",
        f"Videos: {told_codec()}.",
        "Images: out; results: out/tracks.json",
    ]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["clip.mp4", "clip.txt", "tracks.json"]
    drawn = VideoReader(tmp_path / "out" / "clip.mp4")
    assert (drawn.frames, drawn.rate) == (4, 10)
    drawn.close()
    results = json.loads((tmp_path / "out" / "tracks.json").read_text())
    assert results["threshold"] == 0.3 and results["videos"][0]["frames"] == 4
    told = [[(one["category"], one["track_id"]) for one in line["detections"]] for line in results["images"]]
    assert [sorted(one) for one in told] == [[("red", 1)]] * 2 + [[("green", 2), ("red", 1)]] * 2


def test_a_folder_is_one_video_with_frames_by_number(call, frames, tmp_path):
    code, _, errors = call("seq", "--out", "out", "--mot", "--no-draw", "--rate", "5")
    assert (code, errors.strip()) == (0, "")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["seq.txt", "tracks.json"]
    rows = read_rows(tmp_path / "out" / "seq.txt")
    red = rows[rows[:, 1] == 1]
    assert red[:, 0].tolist() == list(range(1, 12))
    assert (np.diff(red[:, 2]) == 8).all()  # 10.png comes after 9.png
    results = json.loads((tmp_path / "out" / "tracks.json").read_text())
    assert results["videos"] == [{"file_name": "seq/img1", "rate": 5.0, "frames": 11, "output": None}]
    assert results["images"][5]["time"] == 1.0
    # Results may be written again, annotations may not be lost.
    assert call("seq", "--out", "out", "--mot", "--no-draw")[0] == 0
    (tmp_path / "out" / "seq.txt").write_text("1,1,2,3,4,5,1,1,0.9\n")
    code, _, errors = call("seq", "--out", "out", "--mot", "--no-draw")
    assert code == 2 and "seq.txt: would be overwritten by --mot" in errors


def test_missing_frames_are_told(call, frames, tmp_path):
    (frames / "4.png").unlink()
    code, told, _ = call("seq", "--out", "out", "--no-draw")
    assert code == 0 and "one frame is missing between 3.png and 5.png. Objects may lose their identities" in told


def test_settings_of_the_association(call, frames, tmp_path):
    call(frames, "--out", "out", "--threshold", "0.5", "--birth", "0.99999", "--max-age", "4", "--greedy")
    results = json.loads((tmp_path / "out" / "tracks.json").read_text())
    assert results["threshold"] == 0.5
    assert not any(line["detections"] for line in results["images"])


def test_frames_of_another_size_are_named(call, frames, draw_spots, tmp_path):
    save_image(frames / "4.png", draw_spots(64, 96))
    code, _, errors = call(frames, "--out", "out")
    assert code == 1 and "4.png: 64x96 pixels, but 0.png, the first frame" in errors
    assert not list((tmp_path / "out").glob("*"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("seq/img1/0.png", "--out", "out"), "an image is no video"),
        (("empty", "--out", "out"), "no images or videos directly in this folder"),
        (("seq/img1", "--out", "seq/img1"), "holds the frames of a video"),
        (("nothing.mp4", "--out", "out"), "no such file"),
    ],
)
def test_what_cannot_be(call, frames, tmp_path, arguments, said):
    (tmp_path / "empty").mkdir()
    code, _, errors = call(*arguments)
    assert code == 2 and said in errors
    assert not (tmp_path / "out").exists()


def save_clip_model(path, flow=0):
    """Sees three frames, or flow; its scores are 0.5 everywhere, and its boxes 8 cells large."""
    whole = InputCard(height=64, width=64, stride=32)
    tasks = {"action": {"frames": 3, "min_length": 4, "flow": flow}}
    options = {"backbone": "tiny", "head_channels": 8, "classes": ("red", "green"), "max_objects": 4, "input": whole}
    card = ModelCard(tasks=tasks, **options)
    network = build_network(card.backbone, card.task_set().heads, card.task_set().inputs, card.head_channels)
    for layer in network.layers:
        if layer.name.endswith("_out"):
            kernel, bias = layer.get_weights()
            layer.set_weights([0 * kernel, 0 * bias + (8.0 if layer.name.startswith("size") else 0.0)])
    save_model(path, network, card)
    return path


@pytest.fixture(scope="module")
def clip_model(tmp_path_factory):
    return save_clip_model(tmp_path_factory.mktemp("clips") / "clips.keras")


@pytest.fixture(scope="module")
def flow_model(tmp_path_factory):
    return save_clip_model(tmp_path_factory.mktemp("flow") / "flow.keras", flow=2)


def check_tubes(results):
    """That the tubes of the only video are those of its frames, each whole."""
    (video,) = results["videos"]
    seen = {}
    for line in results["images"]:
        for one in line["detections"]:
            seen.setdefault((one["category"], one["track_id"]), []).append((line["frame"], one["bbox"]))
    told = {(tube["label"], tube["track_id"]): list(zip(tube["frames"], tube["boxes"])) for tube in video["tubes"]}
    assert seen and told == {key: [(frame, box) for frame, box in frames] for key, frames in seen.items()}
    assert all(0 < tube["score"] <= 1 for tube in video["tubes"])


def test_a_drawn_video_of_tubes(call, frames, clip_model, draw_spots, tmp_path):
    code, _, errors = call(frames, "--out", "out", "--threshold", "0.4", "--max-frames", "6", model=clip_model)
    assert (code, errors.strip()) == (0, "")
    check_tubes(json.loads((tmp_path / "out" / "tracks.json").read_text()))
    drawn = VideoReader(tmp_path / "out" / "seq.mp4")
    for plain, frame in zip(moving(draw_spots, 6), drawn, strict=True):
        far = np.abs(plain.astype(int) - frame.image).max(axis=-1) > 60
        assert far.sum() > 100  # boxes and labels; compression alone changes less
    drawn.close()


def test_a_model_of_clips(call, frames, clip_model, tmp_path):
    quick = (frames, "--out", "out", "--no-draw")
    code, output, errors = call(*quick, "--max-frames", "5", "--threshold", "0.4", model=clip_model)
    assert (code, errors.strip()) == (0, "") and "identities" in output
    results = json.loads((tmp_path / "out" / "tracks.json").read_text())
    assert results["threshold"] == 0.4 and len(results["images"]) == 5
    found = results["images"][2]["detections"]
    assert found and all(one["track_id"] > 0 and one["score"] == one["tube_score"] == 0.5 for one in found)
    check_tubes(results)
    code, output, _ = call(*quick, "--max-frames", "2", model=clip_model)
    assert code == 0 and "2 frames, fewer than the 3 that this model sees at once" in " ".join(output.split())


@pytest.mark.parametrize(
    ("alone", "given"),
    [
        (False, False),
        (True, True),
        pytest.param(False, True, marks=pytest.mark.long),
        pytest.param(True, False, marks=pytest.mark.long),
    ],
)
def test_two_streams_and_flow_alone(call, frames, clip_model, flow_model, monkeypatch, tmp_path, alone, given):
    computed = []
    monkeypatch.setattr(flow, "as_picture", lambda found: computed.append(found) or as_picture(found))
    quick = (frames, "--out", "out", "--no-draw", "--max-frames", "5", "--threshold", "0.4")
    second = () if alone else ("--flow", flow_model, "--flow-weights", "heatmap=0.4,size=1")
    pictures = ("--flow-pictures", frames) if given else ()
    code, _, errors = call(*quick, *second, *pictures, model=flow_model if alone else clip_model)
    assert (code, errors.strip()) == (0, "") and len(computed) == (0 if given else 4)
    results = json.loads((tmp_path / "out" / "tracks.json").read_text())
    assert len(results["images"]) == 5
    check_tubes(results)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("seq", "--flow-weights", "size=1"), "--flow-weights are for two models"),
        (("seq", "--flow", "FLOW", "--flow-weights", "size"), "expected weights such as heatmap=0.4,size=0.8"),
        (("seq", "--flow", "FLOW", "--flow-weights", "sizes=1"), "unknown weight 'sizes'. Did you mean 'size'"),
        (("seq", "--flow-pictures", "seq/img1"), "--flow-pictures are for models of optical flow"),
        (("seq", "--flow", "FLOW", "--flow-pictures", "none"), "none: no such folder or video"),
        (("seq", "other", "--flow", "FLOW", "--flow-pictures", "seq/img1"), "shows one video, not 2"),
    ],
)
def test_streams_that_cannot_be(call, frames, clip_model, flow_model, draw_spots, tmp_path, arguments, said):
    save_image(tmp_path / "other" / "1.png", draw_spots(64, 96))
    arguments = [flow_model if one == "FLOW" else one for one in arguments]
    code, _, errors = call(*arguments, "--out", "out", model=clip_model)
    assert code == 2 and said in " ".join(errors.split())


def test_a_single_image_has_no_flow(frames, flow_model, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        main(["detect", str(flow_model), str(frames / "1.png"), "--out", "out"])
    assert end.value.code == 2 and "sees optical flow, and a single image has none" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--max-age", "3"), "--max-age is not for a model of action"),
        (("--greedy",), "--hungarian and --greedy are not for a model of action"),
    ],
)
def test_settings_that_a_model_does_not_have(call, frames, clip_model, arguments, said):
    code, _, errors = call(frames, "--out", "out", *arguments, model=clip_model)
    assert code == 2 and said in " ".join(errors.split())


def test_a_model_that_does_not_track(call, frames, spot_model):
    code, _, errors = call(frames, "--out", "out", model=spot_model)
    assert code == 2 and "A model of detect does not track" in errors and "track_own.yaml" in errors


def test_other_trackers(call, frames, spot_model, monkeypatch):
    """That they track is tested with the package itself, tests/tasks/test_track_others.py."""
    code, _, errors = call(frames, "--out", "out", "--tracker", "bytrack", model=spot_model)
    assert code == 2 and "Unknown tracker 'bytrack'. Did you mean 'bytetrack'?" in " ".join(errors.split())
    code, _, errors = call(frames, "--out", "out", "--tracker", "ocsort", "--greedy", model=spot_model)
    assert code == 2 and "--hungarian and --greedy are for models that track by themselves" in errors
    code, _, errors = call(frames, "--out", "out", "--tracker", "ocsort")
    assert code == 2 and "This model tracks by itself, without ocsort" in errors
    monkeypatch.setitem(sys.modules, "trackers", None)
    code, _, errors = call(frames, "--out", "out", "--tracker", "ocsort", model=spot_model)
    assert code == 2 and "pip install 'centernet_tf[trackers]'" in errors


def test_boxes_of_another_detector(call, frames, tmp_path):
    model = save_tracking_model(tmp_path / "red.keras", ("red",))
    # Near the red spot, but only in the fourth frame; and in one beyond the end.
    (tmp_path / "det.txt").write_text("4,-1,40,24,24,24,0.9,-1,-1,-1\n99,-1,0,0,9,9,1,-1,-1,-1\n")
    code, told, errors = call("seq", "--out", "out", "--mot", "--no-draw", "--public", "det.txt", model=model)
    assert (code, errors.strip()) == (0, "")
    assert "1 identities" in told and "det.txt: 1 boxes are of frames that the video does not have." in told
    rows = read_rows(tmp_path / "out" / "seq.txt")
    assert rows[:, 0].tolist() == list(range(4, 12)) and set(rows[:, 1]) == {1}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("seq", "--public", "none.txt"), "none.txt: no such file. Give a det.txt"),
        (("seq", "clip", "--public", "det.txt"), "holds boxes of one video, not of 2"),
        (("seq", "--public", "det.txt"), "this model has 2"),
    ],
)
def test_boxes_of_another_detector_that_cannot_be(call, frames, tmp_path, draw_spots, arguments, said):
    (tmp_path / "det.txt").write_text("1,-1,40,24,24,24,0.9\n")
    save_image(tmp_path / "clip" / "1.png", draw_spots(64, 96))
    code, _, errors = call(*arguments, "--out", "out")
    assert code == 2 and said in " ".join(errors.split())
