"""Pictures, videos and results are written whole, in order, and with nothing left out unsaid."""

import dataclasses
import io
import json
import shutil

import cv2
import numpy as np
import pytest
from PIL import Image

from centernet_tf.detector.detector import load
from centernet_tf.errors import DataError, UsageError
from centernet_tf.media.draw import save_image
from centernet_tf.media.images import read_image
from centernet_tf.media.sources import find_sources
from centernet_tf.media.video import VideoReader, VideoWriter
from centernet_tf.outputs import Outputs
from centernet_tf.points.task import Association
from centernet_tf.predict import predict


@pytest.fixture(scope="module")
def detector(spot_model):
    return load(spot_model)


@pytest.fixture
def run(detector, tmp_path):
    """Function (inputs, **outputs) -> summary, results, output folder."""

    def call(*inputs, **options):
        out = tmp_path / "out"
        outputs = Outputs(**{"folder": out, "json_file": out / "detections.json", **options})
        summary = predict(detector, find_sources(inputs), outputs, "spots.keras")
        return summary, json.loads(outputs.json_file.read_text(encoding="utf-8")), out

    return call


@pytest.fixture
def pictures(tmp_path, draw_spots):
    """A folder of pictures of three sizes with 0 to 2 spots."""
    folder = tmp_path / "in"
    save_image(folder / "a.png", draw_spots(96, 64, (30, 40, 0), (70, 20, 1)))
    save_image(folder / "b.jpg", draw_spots(200, 120, (50, 60, 1)))
    save_image(folder / "c.bmp", draw_spots(64, 64))
    return folder


@pytest.fixture
def clip(tmp_path, draw_spots):
    """Seven frames in which a red spot moves to the right by 8 pixels each."""
    path = tmp_path / "clip.mp4"
    writer = VideoWriter(path, 12.5, (128, 96))
    for number in range(7):
        writer.write(draw_spots(128, 96, (36 + 8 * number, 48, 0)))
    writer.close()
    return path


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_nothing_to_do(run):
    summary, results, out = run()
    assert (summary.images, summary.videos, summary.skipped) == (0, 0, [])
    assert results == {
        "model": "spots.keras",
        "threshold": 0.3,
        "input": "128x128",
        "categories": [{"id": 1, "name": "red"}, {"id": 2, "name": "green"}],
        "images": [],
        "videos": [],
        "skipped": [],
    }
    assert names(out) == ["detections.json"]


@pytest.mark.parametrize("batch_size", [1, 2, 8])
def test_images(run, pictures, batch_size, draw_spots):
    summary, results, out = run(pictures, batch_size=batch_size)
    assert names(out) == ["a.png", "b.jpg", "c.bmp", "detections.json"]
    assert (summary.images, summary.objects) == (3, {"red": 1, "green": 2})
    assert [image["id"] for image in results["images"]] == [1, 2, 3]
    first, second, third = results["images"]
    assert first["file_name"] == str(pictures / "a.png")
    assert (first["width"], first["height"], first["output"]) == (96, 64, "a.png")
    assert {row["category"] for row in first["detections"]} == {"red", "green"}
    (row,) = second["detections"]
    assert (row["image_id"], row["category_id"], row["category"]) == (2, 2, "green")
    left, top, width, height = row["bbox"]
    cell = 4 * 200 / 128
    assert (width, height) == (8 * cell, 6 * cell)
    np.testing.assert_allclose((left + width / 2, top + height / 2), (50, 60), atol=cell)
    assert 0.3 < row["score"] <= 1
    assert third["detections"] == []
    drawn, plain = read_image(out / "a.png"), draw_spots(96, 64, (30, 40, 0), (70, 20, 1))
    assert drawn.shape == plain.shape
    assert (drawn != plain).any()
    np.testing.assert_array_equal(read_image(out / "c.bmp"), 0)


def test_numbers_only(run, pictures, tmp_path):
    _, results, out = run(pictures, draw=False, json_file=tmp_path / "new" / "results.json")
    assert not out.exists()
    assert [image["output"] for image in results["images"]] == [None] * 3


def test_results_are_those_of_coco_tools(run, pictures):
    from pycocotools.coco import COCO

    _, results, _ = run(pictures)
    truth = COCO()
    truth.dataset = {"images": results["images"], "categories": results["categories"], "annotations": []}
    truth.createIndex()
    assert len(truth.loadRes([row for image in results["images"] for row in image["detections"]]).anns) == 3


def test_heatmaps(run, pictures, clip):
    _, _, out = run(pictures / "a.png", clip, heatmaps=True, draw=False)
    assert names(out) == ["a_heatmap.png", "clip_heatmap.mp4", "detections.json"]
    heatmap = read_image(out / "a_heatmap.png")
    assert heatmap.shape == (128, 128, 3)
    assert heatmap.max() > 150
    assert [frame.image.shape for frame in VideoReader(out / "clip_heatmap.mp4")] == [(128, 128, 3)] * 7


def test_heatmaps_cost_no_second_run(run, detector, pictures, clip, monkeypatch):
    """Neither for images nor for frames, told at once or later."""
    monkeypatch.setattr(type(detector), "look", lambda self, image: pytest.fail("it ran again"))
    _, _, out = run(pictures, clip, heatmaps=True, draw=False, batch_size=2)
    apart = [frame.image for frame in VideoReader(out / "clip_heatmap.mp4")]
    shutil.rmtree(out)
    (task,) = detector.tasks.tasks
    late = Association(start=list, step=lambda found, held: (held, [found[:1]]), finish=lambda held: held)
    tasks = dataclasses.replace(detector.tasks, tasks=(dataclasses.replace(task, associate=late),))
    monkeypatch.setattr(detector, "tasks", tasks)
    _, _, out = run(clip, heatmaps=True, draw=False, batch_size=2)
    np.testing.assert_array_equal([frame.image for frame in VideoReader(out / "clip_heatmap.mp4")], apart)


def test_odd_files(run, tmp_path, draw_spots):
    """CMYK, 16 bits, a turned photograph, a palette with transparency and one that cannot be written as it came."""
    folder = tmp_path / "odd"
    folder.mkdir()
    image = draw_spots(96, 64, (30, 24, 0))
    picture = Image.fromarray(image)
    picture.convert("CMYK").save(folder / "cmyk.jpg", quality=95)
    cv2.imwrite(str(folder / "deep.png"), image[..., ::-1].astype(np.uint16) * 257)
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(folder / "turned.jpg", exif=exif, quality=95)
    picture.convert("RGBA").save(folder / "transparent.webp", lossless=True)
    picture.quantize(8).save(folder / "palette.gif")
    picture.save(folder / "scan.tiff")
    Image.fromarray(image.max(axis=-1)).save(folder / "grey.png")
    summary, results, out = run(folder)
    found = {image["output"]: image for image in results["images"]}
    assert sorted(found) == [
        "cmyk.jpg", "deep.png", "grey.png", "palette.png", "scan.png", "transparent.webp", "turned.jpg"
    ]  # fmt: skip
    assert summary.images == 7
    for name, image in found.items():
        size = (64, 96) if name == "turned.jpg" else (96, 64)
        assert (image["width"], image["height"]) == size
        assert read_image(out / name).shape[1::-1] == size
        # White is neither red nor green.
        kinds = {row["category"] for row in image["detections"]}
        assert kinds == (set() if name == "grey.png" else {"red"}), name
    left, top, width, height = found["turned.jpg"]["detections"][0]["bbox"]
    np.testing.assert_allclose((left + width / 2, top + height / 2), (63 - 24, 30), atol=4)


def bad_files(folder):
    folder.mkdir(exist_ok=True)
    (folder / "empty.jpg").touch()
    (folder / "text.png").write_text("not a picture")
    (folder / "dead.mp4").write_bytes(b"not a video" * 100)
    stream = io.BytesIO()
    Image.new("RGB", (64, 64)).save(stream, "JPEG")
    (folder / "cut.jpg").write_bytes(stream.getvalue()[:-40])


@pytest.mark.parametrize("name", ["empty.jpg", "text.png", "cut.jpg", "dead.mp4"])
def test_a_bad_file_ends_the_run_and_leaves_no_results(run, pictures, tmp_path, name):
    bad_files(tmp_path / "bad")
    with pytest.raises(DataError) as error:
        run(pictures, tmp_path / "bad" / name)
    assert str(error.value).startswith(str(tmp_path / "bad" / name))
    assert str(error.value).endswith("Use --skip-bad to continue without it.")
    assert not [path for path in names(tmp_path / "out") if "detections" in path]


def test_bad_files_are_skipped_and_listed(run, pictures):
    bad_files(pictures)
    summary, results, out = run(pictures, skip_bad=True)
    assert summary.images == 3
    assert [image["output"] for image in results["images"]] == ["a.png", "b.jpg", "c.bmp"]
    skipped = {entry["file_name"]: entry["reason"] for entry in results["skipped"]}
    assert sorted(skipped) == [str(pictures / name) for name in ("cut.jpg", "dead.mp4", "empty.jpg", "text.png")]
    assert "0 bytes" in skipped[str(pictures / "empty.jpg")]
    assert summary.skipped == list(skipped.items())
    assert names(out) == ["a.png", "b.jpg", "c.bmp", "detections.json"]


@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_video(run, clip, batch_size):
    summary, results, out = run(clip, batch_size=batch_size)
    assert (summary.images, summary.videos, summary.frames) == (0, 1, 7)
    assert results["videos"] == [{"file_name": str(clip), "rate": 12.5, "frames": 7, "output": "clip.mp4"}]
    assert [image["frame"] for image in results["images"]] == list(range(7))
    np.testing.assert_allclose([image["time"] for image in results["images"]], np.arange(7) / 12.5, atol=1e-3)
    # Compression and ties of neighbouring cells may add a second box; the surest lies on the spot.
    boxes = np.array([image["detections"][0]["bbox"] for image in results["images"]])
    np.testing.assert_allclose(boxes[:, 0] + boxes[:, 2] / 2, 36 + 8 * np.arange(7), atol=6)
    reader = VideoReader(out / "clip.mp4")
    assert (reader.rate, reader.frames) == (12.5, 7)
    assert [frame.image.shape for frame in reader] == [(96, 128, 3)] * 7


def test_videos_are_followed_where_a_task_associates(run, clip, detector, monkeypatch):
    _, apart, _ = run(clip, draw=False)
    (task,) = detector.tasks.tasks
    late = Association(  # tells each frame when the next one is seen
        start=list, step=lambda found, held: (held, [found[:1]]), finish=lambda held: held
    )
    tasks = dataclasses.replace(detector.tasks, tasks=(dataclasses.replace(task, associate=late),))
    monkeypatch.setattr(detector, "tasks", tasks)
    _, followed, _ = run(clip, draw=False, batch_size=2)
    assert [image["frame"] for image in followed["images"]] == list(range(7))
    for one, other in zip(apart["images"], followed["images"]):
        assert [row["bbox"] for row in other["detections"]] == [row["bbox"] for row in one["detections"][:1]]


@pytest.mark.parametrize(("frames", "expected"), [(1, 1), (5, 5), (70, 7)])
def test_first_frames_of_a_video(run, clip, frames, expected):
    summary, results, _ = run(clip, max_frames=frames, draw=False)
    assert (summary.frames, len(results["images"]), summary.skipped) == (expected, expected, [])


def test_images_around_a_video_keep_their_order(run, pictures, clip):
    summary, results, _ = run(pictures / "a.png", clip, pictures / "b.jpg", max_frames=2)
    assert [(image["id"], image["output"]) for image in results["images"]] == [
        (1, "a.png"), (2, "clip.mp4"), (3, "clip.mp4"), (4, "b.jpg")
    ]  # fmt: skip
    assert (summary.images, summary.frames) == (2, 2)


class Camera:
    """A webcam that shows a spot until somebody presses Ctrl-C."""

    def __init__(self, image, until):
        self.image, self.left = image, until

    def read(self):
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return True, self.image

    def get(self, what):
        return 0.0

    def release(self):
        pass


def test_a_stopped_webcam_keeps_what_it_saw(run, monkeypatch, draw_spots):
    image, files = draw_spots(64, 64, (32, 32, 1)), cv2.VideoCapture
    monkeypatch.setattr(
        "centernet_tf.media.video.cv2.VideoCapture",
        lambda source: files(source) if isinstance(source, str) else Camera(image, 5),
    )
    summary, results, out = run("webcam", batch_size=1)
    assert summary.frames >= 3
    assert len(results["images"]) == results["videos"][0]["frames"] == summary.frames
    assert results["videos"][0]["file_name"] == "webcam:0"
    monkeypatch.undo()
    assert len(list(VideoReader(out / "webcam0.mp4"))) == summary.frames


def test_a_stopped_video_leaves_nothing(run, clip, monkeypatch, draw_spots, tmp_path):
    monkeypatch.setattr("centernet_tf.media.video.cv2.VideoCapture", lambda source: Camera(draw_spots(64, 64), 5))
    with pytest.raises(KeyboardInterrupt):
        run(clip, batch_size=1)
    assert names(tmp_path / "out") == []


def test_a_video_that_breaks_off_is_said(run, clip, monkeypatch):
    monkeypatch.setattr("centernet_tf.predict.VideoReader", lambda place: Promising(place))
    summary, results, _ = run(clip)
    assert (summary.videos, summary.frames) == (1, 7)
    assert results["skipped"][0]["reason"].startswith("only 7 of 20 frames can be read")


class Promising(VideoReader):
    """Says it has more frames than come."""

    def __init__(self, source):
        super().__init__(source)
        self.frames = 20


def test_same_names_do_not_overwrite_each_other(run, tmp_path, draw_spots):
    for folder, kind in (("left", 0), ("right", 1)):
        save_image(tmp_path / folder / "a.png", draw_spots(64, 64, (32, 32, kind)))
    _, results, out = run(tmp_path / "left", tmp_path / "right")
    assert names(out) == ["a.png", "detections.json", "right_a.png"]
    found = {image["output"]: image["detections"][0]["category"] for image in results["images"]}
    assert found == {"a.png": "red", "right_a.png": "green"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (lambda root: {"folder": root / "in"}, r"a\.png: would overwrite an input"),
        (lambda root: {"json_file": root / "in" / "b.jpg"}, r"b\.jpg: would overwrite an input"),
        (lambda root: {"folder": root / "in" / "c.bmp"}, r"c\.bmp: this is a file\. Give a folder"),
        (lambda root: {"json_file": root / "in"}, r"in: this is a folder\. Give a file"),
    ],
)
def test_inputs_are_never_overwritten(run, pictures, tmp_path, options, said):
    before = {path.name: path.read_bytes() for path in pictures.iterdir()}
    with pytest.raises(UsageError, match=said):
        run(pictures, **options(tmp_path))
    assert {path.name: path.read_bytes() for path in pictures.iterdir()} == before


def test_progress_counts_images_together_and_videos_apart(detector, pictures, clip, tmp_path):
    told = []
    outputs = Outputs(tmp_path / "out", tmp_path / "out" / "detections.json", draw=False)
    predict(detector, find_sources([pictures, clip]), outputs, progress=lambda *values: told.append(values))
    assert told[:3] == [("images", 1, 3), ("images", 2, 3), ("images", 3, 3)]
    assert told[3:] == [(str(clip), number, 7) for number in range(1, 8)]


def test_names_that_are_not_utf8(run, tmp_path, draw_spots, clip):
    folder = tmp_path / "in"
    save_image(folder / "a.png", draw_spots(96, 64, (30, 40, 0)))
    for name in ("caf\udce9.png", "caf\udce8.png", "caf_xe9.png"):
        (folder / name).write_bytes((folder / "a.png").read_bytes())
    (folder / "broken\udcff.jpg").write_bytes(b"no image")
    clip.rename(folder / "clip\udcff.mp4")
    _, results, out = run(folder, skip_bad=True, max_frames=2)
    given = [row["file_name"].rpartition("/")[2] for row in results["images"]]
    expected = ["a.png", "caf\\xe8.png", "caf\\xe9.png", "caf_xe9.png", "clip\\xff.mp4"]
    assert sorted({*given}) == sorted(expected) and all(len(row["detections"]) for row in results["images"])
    assert "broken\\xff.jpg" in results["skipped"][0]["file_name"] and len(results["skipped"]) == 1
    # No surrogates either, which JSON readers of other languages refuse.
    assert "\\ud" not in (out / "detections.json").read_bytes().decode("utf-8")
    drawn = ["a.png", "caf_xe8.png", "caf_xe9.png", "clip_xff.mp4", "in_caf_xe9.png"]
    assert names(out) == sorted([*drawn, "detections.json"])
