"""`centernet detect` from the outside: what it prints, writes and returns."""

import json

import pytest

from centernet_tf.cli import main
from centernet_tf.media.draw import save_image
from centernet_tf.media.video import VideoWriter, told_codec

pytestmark = pytest.mark.usefixtures("eagerly")


@pytest.fixture
def call(spot_model, tmp_path, monkeypatch, capfd):
    """Function (*arguments behind the model) -> exit code, output, errors; runs in tmp_path."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments, model=spot_model):
        with pytest.raises(SystemExit) as end:
            main(["detect", str(model), *map(str, arguments)])
        return end.value.code or 0, *capfd.readouterr()

    return run


@pytest.fixture
def picture(tmp_path, draw_spots):
    path = tmp_path / "in" / "a.png"
    save_image(path, draw_spots(96, 64, (30, 40, 0), (70, 20, 1)))
    return path


def test_a_picture(call, picture, tmp_path):
    code, output, _ = call("in/a.png", "--out", "out")
    assert code == 0
    assert output.splitlines() == [
        "1 image: 2 objects (1 green, 1 red)",
        "Images: out; results: out/detections.json",
    ]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "detections.json"]


def test_everything_at_once(call, picture, tmp_path, draw_spots):
    writer = VideoWriter(tmp_path / "in" / "clip.mp4", 10, (64, 64))
    for _ in range(4):
        writer.write(draw_spots(64, 64, (30, 34, 0)))
    writer.close()
    (tmp_path / "in" / "broken.jpg").touch()
    options = (
        "--threshold",
        "0.5",
        "--batch-size",
        "2",
        "--heatmaps",
        "--skip-bad",
        "--max-frames",
        "3",
        "--json",
        "new/r.json",
    )
    code, output, errors = call("in", "--out", "out", *options)
    assert code == 0, errors
    assert "1 image and 3 frames of 1 video: 5 objects (4 red, 1 green)" in output
    assert "Could not be read: 1\n  in/broken.jpg: the image file is empty (0 bytes)." in output
    assert output.endswith(f"Videos: {told_codec()}.\nImages and heatmaps: out; results: new/r.json\n")
    names = ["a.png", "a_heatmap.png", "clip.mp4", "clip_heatmap.mp4"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names
    results = json.loads((tmp_path / "new" / "r.json").read_text())
    assert results["threshold"] == 0.5
    assert [entry["file_name"] for entry in results["skipped"]] == ["in/broken.jpg"]


def test_every_form_of_the_results(call, picture, tmp_path, draw_spots):
    save_image(tmp_path / "in" / "7.png", draw_spots(64, 64, (30, 34, 0)))
    picture.rename(tmp_path / "in" / "8.png")
    forms = ("--save-crops", "crops", "--save-txt", "txt", "--csv", "new/t.csv", "--coco", "new/c.json")
    code, output, errors = call("in", "--out", "out", "--classes", "green", *forms)
    assert code == 0, errors
    assert output.splitlines() == [
        "2 images: 1 object (1 green)",
        "Images: out; results: out/detections.json",
        "Crops: crops",
        "YOLO's text: txt",
        "Table: new/t.csv",
        "COCO's results: new/c.json",
    ]
    results = json.loads((tmp_path / "out" / "detections.json").read_text())
    assert results["classes"] == ["green"]
    (row,) = (row for image in results["images"] for row in image["detections"])
    (told,) = json.loads((tmp_path / "new" / "c.json").read_text())
    assert told == {"image_id": 8, "category_id": 2, "bbox": row["bbox"], "score": row["score"]}
    found = [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*/*.*")]
    assert {name for name in found if name.startswith(("crops", "txt"))} == {
        "crops/green/8_001.png",
        "txt/7.txt",
        "txt/8.txt",
    }
    assert (tmp_path / "txt" / "7.txt").read_text() == ""
    assert len((tmp_path / "new" / "t.csv").read_text().splitlines()) == 2


def test_frames_in_every_form(call, tmp_path, draw_spots):
    writer = VideoWriter(tmp_path / "clip.mp4", 10, (64, 64))
    for _ in range(2):
        writer.write(draw_spots(64, 64, (30, 34, 0)))
    writer.close()
    code, _, errors = call(
        "clip.mp4", "--out", "out", "--no-draw", "--save-crops", "crops", "--save-txt", "txt", "--csv", "t.csv"
    )
    assert code == 0, errors
    assert [path.name for path in sorted((tmp_path / "crops" / "red").iterdir())] == [
        "clip_000000_001.jpg",
        "clip_000001_001.jpg",
    ]
    assert len(list((tmp_path / "txt").iterdir())) == 2
    assert [line.split(",")[1:3] for line in (tmp_path / "t.csv").read_text().splitlines()[1:]] == [
        ["0", "0.0"],
        ["1", "0.1"],
    ]


def test_no_object_of_the_classes(call, picture):
    code, output, _ = call("in", "--out", "out", "--threshold", "1", "--classes", " green ,red,green")
    assert (code, "No green or red scored above 1." in output) == (0, True)


def test_nothing_found_is_said(call, picture):
    code, output, _ = call("in", "--out", "out", "--threshold", "1", "--no-draw")
    assert code == 0
    assert "1 image: 0 objects\nNothing scored above 1. Try a lower --threshold" in output
    assert output.endswith("Results: out/detections.json\n")


@pytest.mark.parametrize(
    ("options", "said", "width"),
    [((), "128x128", 24), (("--size", "64x96"), "64x96", 32), (("--keep-resolution",), "kept", 32)],
)
def test_inputs_of_another_size(call, picture, tmp_path, options, said, width):
    assert call("in", "--out", "out", *options)[0] == 0
    results = json.loads((tmp_path / "out" / "detections.json").read_text())
    assert results["input"] == said
    # Each object is 8 cells of 4 input pixels wide.
    assert {round(row["bbox"][2], 2) for row in results["images"][0]["detections"]} == {width}


def test_a_broken_picture_fails(call, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    code, _, errors = call("broken.jpg", "--out", "out")
    assert code == 1
    assert "centernet: broken.jpg: not an image that can be read" in errors
    assert "Use --skip-bad to continue without it." in errors
    code, output, _ = call("broken.jpg", "--out", "out", "--skip-bad")
    assert code == 0
    assert output.startswith("0 images: 0 objects\nCould not be read: 1\n  broken.jpg: ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("gone.jpg", "--out", "out"), "centernet: gone.jpg: no such file or folder."),
        (("in/notes.txt", "--out", "out"), "files that end in '.txt' are not known. Images: .bmp"),
        (("in/empty", "--out", "out"), "no images or videos directly in this folder"),
        (("in", "--out", "in"), "in/a.png: would overwrite an input"),
        (("in", "--out", "in/a.png"), "in/a.png: this is a file. Give a folder"),
        (("in", "--out", "out", "--max-frames", "3"), "--max-frames: no input is a video or a webcam"),
        (("in", "--out", "out", "--size", "100x128"), "size 100x128 is not a multiple of 32, which this network needs"),
        (("in", "--out", "out", "--size", "big"), "--size 'big': expected height and width"),
        (("in", "--out", "out", "--size", "64", "--keep-resolution"), "exclude each other"),
        (("in", "--out", "out", "--threshold", "30"), "--threshold"),
        (("in", "--out", "out", "--batch-size", "0"), "--batch-size"),
        (("in", "--out", "out", "--classes", "grene"), "no class 'grene'. Did you mean 'green'? It knows: red, green."),
        (("in", "--out", "out", "--classes", "red,"), "--classes 'red,': expected names with commas between them"),
        (("in", "--out", "out", "--coco", "r.json"), "in/a.png: its id cannot be told by its name"),
        (("in", "--out", "out", "--coco-ids", "in/a.png"), "--coco-ids: gives the ids for --coco FILE"),
        (("in", "--out", "out", "--csv", "out/detections.json"), "would be written twice. Give another place to --csv"),
        (("in", "--out", "out", "--csv", "in/a.png"), "in/a.png: would overwrite an input"),
        (("in", "--out", "out", "--save-crops", "in"), "in: holds files, among which crops of another run"),
        (("in", "--out", "out", "--kitti", "txt", "--save-txt", "txt"), "txt: would be written twice"),
        (("in",), "--out"),
        (("--out", "out"), "INPUT"),
    ],
)
def test_wrong_calls(call, picture, tmp_path, arguments, said):
    (tmp_path / "in" / "notes.txt").touch()
    (tmp_path / "in" / "empty").mkdir()
    code, _, errors = call(*arguments)
    assert code == 2
    assert said in errors
    assert not (tmp_path / "out").exists()


def test_models_that_are_none(call, picture, tmp_path):
    code, _, errors = call("in", "--out", "out", model="gone.keras")
    assert (code, "gone.keras: no such model file" in errors) == (2, True)
    code, _, errors = call("in", "--out", "out", model=picture)
    assert (code, "a.png: not a .keras file" in errors) == (2, True)


@pytest.mark.parametrize("options", [["--skip-bad"], []])
def test_names_that_are_not_utf8_are_printed(call, picture, tmp_path, options):
    picture.rename(picture.with_name("caf\udce9.png"))
    (tmp_path / "in" / "broken\udcff.jpg").write_bytes(b"no image")
    code, output, errors = call("in", "--out", "out", *options)
    assert (code, "broken\\xff.jpg" in output + errors) == (0 if options else 1, True)
    if options:
        (row,) = json.loads((tmp_path / "out" / "detections.json").read_bytes())["images"]
        assert row["file_name"] == "in/caf\\xe9.png" and len(row["detections"]) == 2
