"""Videos of MOTChallenge: columns of MOT15 and of later years, halves of videos, and what is wrong with folders."""

import re

import numpy as np
import pytest
from typer.testing import CliRunner

from centernet_tf.cli.records import app
from centernet_tf.data.dataset import iterate, open_dataset
from centernet_tf.datasets.mot import _range, read
from centernet_tf.datasets.writer import write_records
from centernet_tf.errors import DataError, UsageError
from centernet_tf.media.draw import save_image

# frame, identity, left, top, width, height, flag, class, visibility
ROWS = """1,1,10,8,20,30,1,1,1
1,2,-5,4,20,30,1,1,0.2
1,3,30,4,10,20,1,7,1
1,4,30,4,10,20,1,3,1
2,1,12.5,8,20,30,1,1,0.25
2,2,-4,4,20,30,0,1,1
2,9,-4,4,20,30,0,8,1
"""
MOT15 = "1,1,10,8,20,30,1,5.2,-3,0\n2,1,12,8,20,30,0,5.2,-3,0\n2,2,1,1,5,5,1,-1,-1,-1\n"
INI = "[Sequence]\nname=a\nimDir=img1\nframeRate=25\nseqLength={}\nimWidth=64\nimHeight=48\nimExt=.png\n"


@pytest.fixture
def video(tmp_path):
    """A function that makes a video's folder."""

    def make(name="a", rows=ROWS, frames=3, ini=INI):
        folder = tmp_path / "train" / name
        (folder / "gt").mkdir(parents=True)
        (folder / "img1").mkdir()
        for frame in range(1, frames + 1):
            save_image(folder / "img1" / f"{frame:06d}.png", np.full((48, 64, 3), 10 * frame, np.uint8))
        (folder / "gt" / "gt.txt").write_text(rows)
        if ini:
            (folder / "seqinfo.ini").write_text(ini.format(frames))
        return folder

    return make


def ids(item):
    return dict(zip(item.rows["track_ids"].tolist(), np.asarray(item.ignored).tolist()))


def test_a_video_without_objects(video):
    data = read(video(rows="", frames=2))
    items = list(data.items)
    assert [item.key for item in data.items] == [item.key for item in items]  # which can be read twice
    assert [item.boxes.shape for item in items] == [(0, 4), (0, 4)]
    assert [item.rows["track_ids"].shape for item in items] == [(0,), (0,)]


def test_what_is_trained_on(video):
    data = read(video(), class_name="person")
    first, second, third = data.items
    assert data.classes == ("person",) and data.properties[0].name == "tracks"
    assert ids(first) == {1: False, 3: True} and ids(second) == {1: False} and ids(third) == {}
    np.testing.assert_array_equal(second.boxes, [[12.5, 8, 32.5, 38]])
    assert [(item.video, item.frame, item.time) for item in (first, third)] == [("a", 1, 0.0), ("a", 3, 0.08)]
    assert (first.width, first.height, first.filename) == (64, 48, "a/000001.png")
    assert first.left_out == {"hardly visible": 1, "class not chosen": 1}
    assert second.left_out == {"not to be considered (flag 0)": 2}


def test_what_is_evaluated(video):
    first, second, _ = read(video(), purpose="evaluate").items
    assert ids(first) == {1: False, 2: False, 3: True} and ids(second) == {1: False, 9: True}
    np.testing.assert_array_equal(first.boxes[1], [-5, 4, 15, 34])  # over the edge, as annotated


@pytest.mark.parametrize("purpose", ["train", "evaluate"])
def test_mot15_has_no_classes(purpose, video):
    first, second, _ = read(video(rows=MOT15), purpose=purpose).items
    assert ids(first) == {1: False} and ids(second) == {2: False}
    assert second.left_out == {"not to be considered (flag 0)": 1}


@pytest.mark.parametrize("frames", [1, 2, 5, 6])
@pytest.mark.parametrize(("suffix", "more"), [("", 1), ("-fairmot", 0)])
def test_halves_make_the_whole(frames, suffix, more, video):
    folder = video(rows="", frames=frames)
    first, second = (
        [item.frame for item in read(folder, half=f"{half}{suffix}").items] for half in ("first", "second")
    )
    assert first + second == list(range(1, frames + 1)) and len(first) == frames // 2 + more


@pytest.mark.parametrize(("suffix", "counts"), [("", (2664, 2652)), ("-fairmot", (2657, 2659))])
def test_halves_of_mot17_have_their_published_counts(suffix, counts):
    lengths = (600, 1050, 837, 525, 654, 900, 750)
    for half, count in zip(("first", "second"), counts):
        spans = [_range(length, half + suffix) for length in lengths]
        assert sum(last - first for first, last in spans) == count


def test_videos_are_chosen_by_name(video):
    for name in ("MOT17-02-DPM", "MOT17-02-FRCNN", "MOT17-04-FRCNN"):
        root = video(name, rows="", frames=1).parent
    (root / "notes").mkdir()
    assert [item.video for item in read(root).items] == ["MOT17-02-DPM", "MOT17-02-FRCNN", "MOT17-04-FRCNN"]
    assert [item.video for item in read(root, ["*-FRCNN"]).items] == ["MOT17-02-FRCNN", "MOT17-04-FRCNN"]
    assert len({item.image_id for item in read(root).items}) == len({item.key for item in read(root).items}) == 3
    with pytest.raises(UsageError, match=r"no annotated video \*-SDP. There are: MOT17-02-DPM"):
        read(root, ["*-FRCNN", "*-SDP"])
    with pytest.raises(UsageError, match="a video itself"):
        read(root / "MOT17-02-DPM", ["MOT17-02-DPM"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"half": "fist"}, "half 'fist': expected first, second, .*Did you mean 'first'"),
        ({"purpose": "test"}, "for 'test': expected train, evaluate"),
    ],
)
def test_unknown_options_are_told(options, message, video):
    with pytest.raises(UsageError, match=message):
        read(video(), **options)


def test_folders_that_are_none(tmp_path):
    with pytest.raises(UsageError, match="no such folder"):
        read(tmp_path / "nowhere")
    with pytest.raises(UsageError, match=r"no folder in it has gt/gt.txt"):
        read(tmp_path)


def spoil_ini(text):
    return lambda folder: (folder / "seqinfo.ini").write_text(text)


def spoil_rows(text):
    return lambda folder: (folder / "gt" / "gt.txt").write_text(text)


def lose_frame(folder):
    (folder / "img1" / "000002.png").unlink()
    (folder / "seqinfo.ini").write_text(INI.format(2))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (spoil_ini(INI.format(5)), r"img1: 3 images, expected 5, as seqinfo.ini says. Frames are missing"),
        (spoil_ini(INI.format("many")), r"seqinfo.ini: not a description of a video"),
        (spoil_ini("frameRate=2"), r"seqinfo.ini: not a description of a video"),
        (spoil_ini(INI.format(3).replace("25", "0")), "frameRate is 0"),
        (spoil_ini(INI.format(3).replace("img1", "img2")), "img2: 0 images"),
        (lose_frame, "frame 2 is missing; the next is 3"),
        (spoil_rows("4,1,1,1,5,5,1,1,1\n"), "frames run from 4 to 4, but there are 3 images"),
        (spoil_rows("0,1,1,1,5,5,1,1,1\n"), "frames run from 0 to 0"),
        (spoil_rows("1.5,1,1,1,5,5,1,1,1\n"), "frame 1.5, identity 1; expected whole numbers"),
        (spoil_rows("1,1,1,1,5,5\n"), "line 1 is '1,1,1,1,5,5'; expected at least 7 numbers"),
        (spoil_rows("1,1,1,1,5,5,1\n1,1,1,1,nan,5,1\n"), "line 2 is"),
        (spoil_rows("1,1,1,1,5,5,1\n1,1,1,1,5,5,1,1\n"), "line 2 has 8 numbers, those before it 7"),
    ],
)
def test_what_contradicts_itself_is_told(spoil, message, video):
    folder = video()
    spoil(folder)
    with pytest.raises(DataError, match=message):
        list(read(folder).items)


def test_frames_of_another_size_than_told_are_faults(video, tmp_path):
    data = read(video(ini=INI.replace("64", "65")))
    with pytest.raises(DataError, match="65"):
        write_records(data.items, directory=tmp_path / "out", name="a", split="val", classes=data.classes)


def test_an_identity_that_stands_twice_is_a_fault_of_its_frame(video, tmp_path):
    folder = video(rows=ROWS + "3,7,1,1,9,9,1,1,1\n3,7,20,1,9,9,1,1,1\n")
    data = read(folder)
    settings = {"directory": tmp_path / "out", "name": "a", "split": "val", "classes": data.classes}
    with pytest.raises(DataError, match="identity 7 stands twice in frame 3"):
        write_records(data.items, properties=data.properties, **settings)
    report = write_records(read(folder).items, properties=data.properties, skip_bad=True, **settings)
    assert report.images_written == 2


def test_the_command_keeps_videos_in_order_and_whole(video, tmp_path):
    for name in ("b", "a", "c"):
        root = video(name).parent
    arguments = [root, "--out", tmp_path / "out", "--shards", 2, "--half", "first", "--class-name", "walker"]
    result = CliRunner().invoke(app, ["mot", *map(str, arguments), "--names", "a,b,c"])
    assert result.exit_code == 0, result.output
    dataset = open_dataset(tmp_path / "out")
    assert dataset.classes == ("walker",) and dataset.property("tracks")
    found = [(record.video, record.frame) for record in iterate(dataset)]
    assert found == [(name, frame) for name in "acb" for frame in (1, 2)]
    assert [shard.records for shard in dataset.files] == [4, 2]
    (first, *_) = iterate(dataset)
    assert first.rows["track_ids"].tolist() == [1, 3] and first.ignored.tolist() == [False, True]
    result = CliRunner().invoke(app, ["mot", str(root), "--out", str(tmp_path / "more"), "--shards", "4"])
    assert re.search("only 3 have records: a video stays in one shard", str(result.exception))
