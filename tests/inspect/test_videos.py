"""Videos in records: their lengths, and frames that are missing, out of order or of another size."""

import numpy as np
import pytest

from centernet_tf.cli import main
from centernet_tf.datasets.items import Item
from centernet_tf.datasets.writer import write_records
from centernet_tf.inspect import inspect_records
from centernet_tf.inspect.videos import CHECKS, VideoSurvey
from centernet_tf.properties.metric import ImageKey
from centernet_tf.properties.notebook import Notebook
from centernet_tf.properties.tracks import Tracks


def survey(text):
    """Looks at frames "a1 a2 b1" of 64x48, or "a3:32x32" of another size, "-" is a single image."""
    notebook = Notebook(CHECKS)
    book = VideoSurvey(notebook)
    for name in text.split():
        frame, _, size = name.partition(":")
        key = ImageKey(0) if name == "-" else ImageKey(0, frame[0], int(frame[1:]))
        book.add(name, key, tuple(map(int, (size or "64x48").split("x"))))
    book.close()
    return book, {finding.code: (finding.count, finding.examples[0]) for finding in notebook.findings()}


@pytest.mark.parametrize("text", ["", "- - -"])
def test_no_videos(text):
    book, found = survey(text)
    assert not found and book.facts() == {} and book.as_dict() == {"count": 0, "gaps": 0, "frames": {}}


def test_lengths():
    book, found = survey("a1 a2 a3 - b4 b5")
    assert not found and book.as_dict() == {"count": 2, "gaps": 0, "frames": {"a": 3, "b": 2}}
    assert book.facts() == {"videos": "2, of 2 to 3 frames, median 2.5; 0 gaps in the frame numbers"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a1 a2 a5 a9", {"frame_gap": (2, "a5: 5 after 2")}),
        ("a1 a1 a2", {"frame_order": (1, "a1: 1 after 1")}),
        ("a2 a1", {"frame_order": (1, "a1: 1 after 2")}),
        ("a1 a2:32x32 a3", {"frame_size": (1, "a2:32x32: 32x32, a began with 64x48")}),
        ("a1 a2 b1 b2 a3 a4", {"split_video": (1, "a, again at a3")}),
        ("a1 - a2", {"split_video": (1, "a, again at a2")}),
        ("a1 b1 b2", {"short_video": (1, "a")}),
    ],
)
def test_what_is_found(text, expected):
    assert survey(text)[1] == expected


def test_records_of_videos_are_inspected(tmp_path, capsys):
    def item(video, frame, boxes, ids):
        image = np.full((48, 64, 3), 20 * frame + ord(video), np.uint8)
        key = f"{video}{frame}"
        place = {"video": video, "frame": frame, "rows": {"track_ids": ids}}
        return Item(key, 100 * ord(video) + frame, image, f"{key}.png", np.float32(boxes), [0] * len(ids), **place)

    near, far = [2, 2, 10, 10], [50, 30, 62, 46]
    frames = [("a", 1, near), ("a", 2, far), ("a", 4, far), ("b", 1, near)]
    items = [item(video, frame, [box], [5]) for video, frame, box in frames]
    settings = {"name": "a", "split": "val", "classes": ("x",), "properties": (Tracks(),)}
    write_records(items, directory=tmp_path / "val", **settings)
    report = inspect_records(tmp_path / "val")
    codes = {finding.code for finding in report.findings}
    assert {"frame_gap", "short_video", "track_jumps"} <= codes and report.sound
    assert report.to_dict()["videos"] == {"count": 2, "gaps": 1, "frames": {"a": 3, "b": 1}}
    assert report.to_dict()["properties"]["tracks"]["identities"] == 2
    kept = {sample.name: [rows["boxes"][0].tolist() for rows in sample.before] for sample in report.samples}
    assert kept == {"a1.png": [], "a2.png": [near], "a4.png": [near, far], "b1.png": []}
    few = inspect_records(tmp_path / "val", samples=1).samples  # others stand before it all the same
    assert [len(sample.before) for sample in few] == [len(kept[few[0].name])]
    with pytest.raises(SystemExit) as ended:
        main(["inspect", str(tmp_path / "val"), "--sheet", str(tmp_path / "sheet.png")])
    assert ended.value.code == 0 and (tmp_path / "sheet.png").is_file()
    told = capsys.readouterr().out
    assert "2, of 1 to 3 frames" in told and "2, seen in 1 to 3 frames" in told
