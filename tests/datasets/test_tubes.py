"""Tubes of every format become frames with classes and identities, and what is wrong with them is told."""

import json
import pickle

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from centernet_tf.cli.records import app
from centernet_tf.data.dataset import iterate, open_dataset
from centernet_tf.datasets.tube_annotations import AnnotatedTube, identities, without_gaps
from centernet_tf.datasets.tube_csv import Clock
from centernet_tf.datasets.tubes import Choice, read
from centernet_tf.errors import DataError, UsageError
from centernet_tf.media.video import VideoWriter

SIZE = (32, 48)  # height, width


def images(folder, count, first=1, name="{:05d}.png", size=SIZE):
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(first, first + count):
        cv2.imwrite(str(folder / name.format(number)), np.full((*size, 3), number, np.uint8))


def line(count, left=2.0):
    """Boxes of something that goes right."""
    return [[left + step, 4.0, left + step + 10, 14.0] for step in range(count)]


def tube(label="walk", start=1, count=5, **more):
    return {"label": label, "start": start, "boxes": line(count), **more}


def tell(path, videos, labels=("walk", "still")):
    """Writes plain JSON, {video: tubes or more of it}."""
    told = {name: one if isinstance(one, dict) else {"tubes": one} for name, one in videos.items()}
    path.write_text(json.dumps({"labels": list(labels), "videos": told}))
    return path


@pytest.fixture
def clips(tmp_path):
    """Two videos of 8 and 3 frames, one of them in img1."""
    images(tmp_path / "a", 8)
    images(tmp_path / "sport" / "b" / "img1", 3, name="frame_{:06d}.jpg")
    return tmp_path


def rows(split):
    """{(video, frame): [(class, identity, left)]}."""
    return {
        (item.video, item.frame): [
            (split.classes[label], number, float(box[0]))
            for label, number, box in zip(item.classes, item.rows["track_ids"].tolist(), item.boxes)
        ]
        for item in split.items
    }


def test_videos_without_tubes_have_empty_frames(clips):
    split = read(tell(clips / "tubes.json", {"a": [], "sport/b": []}))
    assert rows(split) == {**{("a", n): [] for n in range(1, 9)}, **{("sport/b", n): [] for n in (1, 2, 3)}}
    assert rows(split) == rows(split)  # items can be read twice
    assert split.properties[0].tubes and split.classes == ("walk", "still")
    assert all(item.boxes.shape == (0, 4) for item in read(clips / "tubes.json").items)


def test_plain_json(clips):
    videos = {
        "sport/b": {"tubes": [tube("still", 2, 2)], "frames": 3, "width": 48, "height": 32},
        "a": [tube(track=7), tube("still", 6, 3, track=7), tube("walk", 3, 2)],
    }
    split = read(tell(clips / "tubes.json", videos))
    found = rows(split)
    assert [*found] == [("a", n) for n in range(1, 9)] + [("sport/b", n) for n in (1, 2, 3)]
    assert found["a", 1] == [("walk", 0, 2)] and found["a", 4] == [("walk", 0, 5), ("walk", 1, 3)]
    assert found["a", 7] == [("still", 0, 3)] and found["sport/b", 2] == [("still", 0, 2)]
    items = [*read(clips / "tubes.json").items]
    assert items[-1].filename == "sport/b/frame_000003.jpg"
    assert {(item.video, item.width, item.height) for item in items} == {("a", 48, 32), ("sport/b", 48, 32)}


def test_chosen_videos_frames_and_classes(clips):
    path = tell(clips / "tubes.json", {"a": [tube(), tube("still", 3, 4)], "sport/b": [tube(count=2)]})
    assert {video for video, _ in rows(read(path, choice=Choice(names=("sport/*",))))} == {"sport/b"}
    assert [frame for _, frame in rows(read(path, choice=Choice(names=("a",), frames=(3, 5))))] == [3, 4, 5]
    assert [*rows(read(path, choice=Choice(annotated_only=True)))] == [
        *(("a", n) for n in range(1, 7)),
        ("sport/b", 1),
        ("sport/b", 2),
    ]
    split = read(path, classes=("still",))
    items = {(item.video, item.frame): item for item in split.items}
    assert split.classes == ("still",) and items["a", 3].classes == [0]
    assert items["a", 1].classes == [] and items["a", 3].left_out == {"class not chosen": 1}


def test_who_does_two_things_at_once_is_two_identities():
    def made(track, *frames, label=0):
        return AnnotatedTube(label, np.array(frames), np.zeros((len(frames), 4)), track)

    assert identities([]) == []
    assert identities([made(5, 1, 2, 3), made(5, 4, 5, label=1), made(9, 1, 2)]) == [0, 0, 1]
    assert identities([made(5, 1, 2, 3), made(5, 3, 4, label=1), made(5, 5, 6)]) == [0, 1, 0]
    assert identities([made(None, 1), made(None, 2)]) == [0, 1]


GAPPED = AnnotatedTube(0, np.array([7, 1, 2, 5]), np.array([[7.0] * 4, [1.0] * 4, [2.0] * 4, [5.0] * 4]))


@pytest.mark.parametrize(
    ("gaps", "expected"),
    [
        ("split", [[1, 2], [5], [7]]),
        (0, [[1, 2], [5], [7]]),
        (1, [[1, 2], [5, 6, 7]]),
        (2, [[1, 2, 3, 4, 5, 6, 7]]),
        (99, [[1, 2, 3, 4, 5, 6, 7]]),
    ],
)
def test_gaps_are_split_or_filled(gaps, expected):
    parts = without_gaps(GAPPED, gaps, "here")
    assert [part.frames.tolist() for part in parts] == expected
    for part in parts:
        np.testing.assert_allclose(part.boxes, np.tile(part.frames[:, None], 4))


def test_gaps_are_refused_unless_said(clips):
    boxes = [*line(2), None, *line(2)]
    path = tell(clips / "tubes.json", {"a": [{"label": "walk", "start": 2, "boxes": boxes}]})
    with pytest.raises(
        DataError, match=r"video a: tube 1: frame 3 is followed by 5. .*--gaps split .*--gaps 1 to fill"
    ):
        read(path)
    split = rows(read(path, choice=Choice(gaps="split")))
    assert split["a", 4] == [] and split["a", 3][0][1] != split["a", 5][0][1]
    assert rows(read(path, choice=Choice(gaps="1")))["a", 4] == [("walk", 0, 2.5)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": ["walk", "walk"]}, "names 'walk' twice"),
        ({"labels": []}, "'labels' is"),
        ({"labels": ["run", "still"]}, r"label 'walk', but 'labels' names run, still"),
        ({"videos": []}, "expected an object with 'labels' and 'videos'"),
        ({"videos": {"a": {}}}, "a list 'tubes'"),
        ({"videos": {"a": {"tubes": [], "frames": 0}}}, "'frames' is 0"),
        ({"videos": {"a": {"tubes": [], "width": 5}}}, "one of 'width' and 'height'"),
        ({"videos": {"a": {"tubes": [{**tube(), "start": 0}]}}}, "'start' is 0; expected a whole number from 1"),
        ({"videos": {"a": {"tubes": [{**tube(), "track": "x"}]}}}, "'track' is 'x'"),
        ({"videos": {"a": {"tubes": [{**tube(), "boxes": []}]}}}, "rows of 4 numbers"),
        ({"videos": {"a": {"tubes": [{**tube(), "boxes": [[1, 2, 3]]}]}}}, "rows of 4 numbers"),
        ({"videos": {"a": {"tubes": [{**tube(), "boxes": [[1, 2, 3, "x"]]}]}}}, "rows of 4 numbers"),
        ({"videos": {"a": {"tubes": [tube(start=7)], "frames": 8}}}, "reaches frame 11, but the video has 8"),
        ({"videos": {"a": {"tubes": [tube(start=10**9)]}}}, "'start' is 1000000000"),
    ],
)
def test_wrong_json_is_told(change, message, clips):
    path = clips / "tubes.json"
    path.write_text(json.dumps({"labels": ["walk", "still"], "videos": {"a": {"tubes": [tube()]}}, **change}))
    with pytest.raises(DataError, match=message):
        read(path)


def test_json_that_is_none_is_told(clips):
    path = clips / "tubes.json"
    for content in (b"", b"[", b"\xff\xfe", b"[1]", b"[" * 100_000):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"tubes\.json"):
            read(path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frames": "nowhere"}, "no such folder of videos"),
        ({"classes": ("wlak",)}, "no label 'wlak'. Did you mean 'walk'"),
        ({"choice": Choice(names=("c",))}, "no video c"),
        ({"choice": Choice(part="train")}, "part is of"),
        ({"labels": ("walk",)}, "labels is of"),
        ({"clock": Clock()}, "rate and start is of"),
    ],
)
def test_wrong_calls_are_told(options, message, clips):
    with pytest.raises(UsageError, match=message):
        read(tell(clips / "tubes.json", {"a": [tube()]}), **options)


def test_files_of_no_known_format_are_told(clips):
    for name, message in (("gone.json", "no such file"), ("a.txt", "what format it has")):
        if name == "a.txt":
            (clips / name).write_text("x")
        with pytest.raises(UsageError, match=message):
            read(clips / name)
    with pytest.raises(UsageError, match="gaps 'some'"):
        Choice(gaps="some")
    with pytest.raises(UsageError, match="frames 5 to 2"):
        Choice(frames=(5, 2))


def test_videos_outside_the_folder_are_refused(clips):
    images(clips / "far", 5)
    (clips / "near").mkdir()
    path = tell(clips / "near" / "tubes.json", {"../far": [tube()]})
    with pytest.raises(UsageError, match=r"'../far', which is outside .* --outside"):
        read(path)
    assert len(rows(read(path, choice=Choice(outside=True)))) == 5


def test_missing_videos_and_frames_are_told(clips, tmp_path):
    with pytest.raises(DataError, match="gone: neither a folder of images nor a video file"):
        [*read(tell(clips / "tubes.json", {"gone": [tube()]})).items]
    (clips / "a" / "00004.png").unlink()
    path = tell(clips / "tubes.json", {"a": {"tubes": [tube()], "frames": 9}})
    broken = {item.frame: item.broken for item in read(path).items if item.broken}
    assert {*broken} == {4, 9}
    assert "no image of frame 4, there are 00001.png to 00008.png" in broken[4].detail
    out = ["--out", str(tmp_path / "out")]
    refused = CliRunner().invoke(app, ["tubes", str(path), *out])
    assert isinstance(refused.exception, DataError) and "frame 4" in str(refused.exception)
    done = CliRunner().invoke(app, ["tubes", str(path), *out, "--skip-bad"])
    assert done.exit_code == 0, done.output
    assert [record.frame for record in iterate(open_dataset(tmp_path / "out"))] == [1, 2, 3, 5, 6, 7, 8]


def test_frames_may_be_counted_from_0(clips):
    images(clips / "c", 5, first=0)
    path = tell(clips / "tubes.json", {"c": [tube()]})
    broken = [item.broken.detail for item in read(path).items if item.broken]
    assert len(broken) == 1 and "pass --first 0" in broken[0]
    items = [*read(path, choice=Choice(first=0)).items]
    assert [(item.frame, item.source.name) for item in items][:2] == [(1, "00000.png"), (2, "00001.png")]
    assert not any(item.broken for item in items)


def test_frames_of_different_sizes_are_told(clips, tmp_path):
    images(clips / "a", 1, first=5, size=(20, 20))
    path = tell(clips / "tubes.json", {"a": [tube()]})
    refused = CliRunner().invoke(app, ["tubes", str(path), "--out", str(tmp_path / "out")])
    assert isinstance(refused.exception, DataError)
    assert "annotated for 48 x 32 pixels, but the image has 20 x 20" in str(refused.exception)


def test_boxes_outside_the_image_are_clipped_or_told(clips, tmp_path):
    away = {"label": "walk", "start": 3, "boxes": [[-5, 4, 10, 60], [100, 100, 120, 120], [0, 0, 9, 9]]}
    path = tell(clips / "tubes.json", {"a": [away]})
    arguments = ["tubes", str(path), "--out", str(tmp_path / "out")]
    refused = CliRunner().invoke(app, arguments)
    assert "lies outside the image" in str(refused.exception)
    assert CliRunner().invoke(app, [*arguments, "--skip-bad"]).exit_code == 0
    records = {record.frame: record for record in iterate(open_dataset(tmp_path / "out"))}
    assert records[3].boxes.tolist() == [[0, 4, 10, 32]] and len(records[4].boxes) == 0


def test_video_files(clips):
    writer = VideoWriter(clips / "c.mp4", 10, (48, 32))
    for number in range(6):
        writer.write(np.full((*SIZE, 3), 40 * number, np.uint8))
    writer.close()
    path = tell(clips / "tubes.json", {"c": {"tubes": [tube()], "frames": 7}})
    items = [*read(path).items]
    assert [item.frame for item in items] == [1, 2, 3, 4, 5, 6, 7]
    assert items[1].source.shape == (*SIZE, 3) and items[5].source.mean() > items[1].source.mean()
    assert items[1].time == pytest.approx(0.1) and items[0].filename == "c/000001"
    assert "has 6 frames, none of number 7" in items[6].broken.detail
    assert [item.frame for item in read(path, choice=Choice(frames=(2, 3))).items] == [2, 3]


def ground_truth(**changes):
    """As the pickle of UCF101-24 is made."""
    tubes = {
        "a": {1: [np.c_[np.arange(1, 6), line(5)].astype(np.float32)], 0: [np.c_[[7.0, 8.0], line(2)]]},
        "sport/b": {},
    }
    content = {
        "labels": ["walk", "still"],
        "train_videos": [["a"], ["sport/b"]],
        "test_videos": [["sport/b"], ["a"]],
        "nframes": {"a": 8, "sport/b": 3},
        "resolution": {"a": SIZE, "sport/b": SIZE},
        "gttubes": tubes,
    }
    return {**content, **changes}


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_pickles(protocol, clips):
    path = clips / "UCF101v2-GT.pkl"
    path.write_bytes(pickle.dumps(ground_truth(), protocol=protocol))
    found = rows(read(path, choice=Choice(part="train")))
    assert [*found] == [("a", n) for n in range(1, 9)]
    assert found["a", 2] == [("still", 0, 3)] and found["a", 7] == [("walk", 1, 2)] and found["a", 6] == []
    assert {video for video, _ in rows(read(path, choice=Choice(part="train", fold=2)))} == {"sport/b"}
    assert len(rows(read(path))) == 11
    sizes = {(item.width, item.height) for item in read(path).items}
    assert sizes == {(48, 32)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": ["walk"]}, "has label 1, but 'labels' names 1, from 0 to 0"),
        ({"gttubes": {"a": {0: [np.zeros((3, 4))]}}, "train_videos": [["a"]]}, "rows of 5 numbers"),
        ({"gttubes": {"a": {0: [[[1.5, 0, 0, 9, 9]]]}}}, "expected whole numbers"),
        ({"gttubes": {"a": {0: [[[np.nan, 0, 0, 9, 9]]]}}}, "expected whole numbers"),
        ({"gttubes": {"a": {0: [[[0, 0, 0, 9, 9]]]}}}, "counted from 1"),
        ({"gttubes": {"a": {0: [[[1, 0, 0, 9, 9]] * 2]}}}, "has frame 1 twice"),
        ({"gttubes": {"a": {0: [[[9, 0, 0, 9, 9]]]}}}, "reaches frame 9, but the video has 8"),
        ({"gttubes": {"a": {0: 3}}}, "are a int, expected a list"),
        ({"gttubes": {"a": []}}, "expected a dict by label"),
        ({"nframes": {}}, "'nframes' is None"),
        ({"resolution": {"a": 5}}, "expected height and width"),
        ({"gttubes": []}, "'gttubes' is a list, expected a dict"),
        ({"train_videos": ["a"]}, "no list of lists"),
        ({"train_videos": [["c"]]}, "names 'c', of which there are no tubes"),
    ],
)
def test_wrong_pickles_are_told(changes, message, clips):
    path = clips / "GT.pkl"
    path.write_bytes(pickle.dumps(ground_truth(**changes)))
    with pytest.raises(DataError, match=message):
        read(path, choice=Choice(part="train"))


def test_pickles_of_something_else_are_told(clips):
    path = clips / "GT.pkl"
    path.write_bytes(pickle.dumps({"labels": ["walk"]}))
    with pytest.raises(DataError, match="lacks train_videos"):
        read(path)
    path.write_bytes(pickle.dumps(ground_truth()))
    for choice, message in (
        (Choice(part="val"), "expected train or test"),
        (Choice(part="test", fold=3), "folds 1 to 2"),
    ):
        with pytest.raises(UsageError, match=message):
            read(path, choice=choice)


def table(path, *lines):
    path.write_text("\n".join(lines) + "\n")
    return path


def test_csv_of_multisports(clips):
    path = table(
        clips / "multisports.csv",
        *(f"a,{frame},0.25,0.25,0.5,0.5,2,{who},8" for frame in (1, 2, 4) for who in (3, 11)),
        "sport/b,2,0.0,0.0,1.0,1.0,1,0,3",
    )
    found = rows(read(path, labels=("walk", "still")))
    assert found["a", 2] == [("still", 0, 0.25), ("still", 1, 0.25)]
    assert found["a", 3] == [] and found["a", 4][0][1] == 0
    assert all(item.normalised for item in read(path, labels=("walk", "still")).items)
    filled = read(path, labels=("walk", "still"), choice=Choice(gaps=1))
    assert len(rows(filled)["a", 3]) == 2


def test_csv_of_ava(clips, tmp_path):
    """Seconds, several actions of one person, and moments without any."""
    images(clips / "v", 9)
    path = table(
        clips / "ava.csv",
        "v,0902,0.077,0.151,0.283,0.811,1,1",
        "v,0902,0.077,0.151,0.283,0.811,2,1",
        "v,0904,0.077,0.151,0.283,0.811,1,1",
        "v,0906,,,,,,",
    )
    clock = Clock(rate=2, start=901)
    found = rows(read(path, labels=("stand", "talk"), clock=clock))
    assert found["v", 3] == [("stand", 0, 0.077), ("talk", 1, 0.077)] and found["v", 7] == [("stand", 0, 0.077)]
    assert found["v", 5] == [] and len(found) == 9
    broken = [item.broken.detail for item in read(path, labels=("stand", "talk")).items if item.broken]
    assert "no image of frame 902" in "".join(broken) and "AVA's times need --rate and --start" in broken[-1]
    (clips / "list.pbtxt").write_text('label { name: "stand" label_id: 1 }\nlabel { name: "talk" label_id: 2 }')
    options = ["--labels", str(clips / "list.pbtxt"), "--rate", "2", "--start", "901", "--gaps", "3"]
    done = CliRunner().invoke(app, ["tubes", str(path), str(clips), *options, "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    dataset = open_dataset(tmp_path / "out")
    assert dataset.classes == ("stand", "talk") and dataset.objects == 6 and dataset.property("tracks").tubes
    first = next(record for record in iterate(dataset) if record.frame == 3)
    np.testing.assert_allclose(first.boxes[0], np.array([0.077, 0.151, 0.283, 0.811]) * [48, 32, 48, 32], rtol=1e-5)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("v,1,0.1,0.1,0.5,0.5,3,1", "line 1 has action 3, but there are names of 2"),
        ("v,1,0.1,0.1,0.5,0.5,0,1", "line 1 has action 0"),
        ("v,1,0.1,0.1,0.5,0.5,1", "expected video, time"),
        ("v,x1,0.1,0.1,0.5,0.5,1,1", "expected video, time"),
        ("v,1,10,10,50,50,1,1", "fractions of the image, not pixels"),
        ("v,nan,0.1,0.1,0.5,0.5,1,1", "expected video, time"),
        ("v,1,0.1,0.1,0.5,0.5,1,1\nv,1,0.1,0.1,0.5,0.5,1,1", "has frame 1 twice"),
    ],
)
def test_wrong_csv_is_told(line, message, clips):
    with pytest.raises(DataError, match=message):
        read(table(clips / "a.csv", line), labels=("walk", "still"))


def test_csv_without_labels_is_told_and_headings_are_no_line(clips):
    path = table(clips / "a.csv", "video,time,x1,y1,x2,y2,action,person", "a,1,0.1,0.1,0.5,0.5,1,1")
    with pytest.raises(UsageError, match="--labels"):
        read(path)
    assert rows(read(path, labels=("walk",)))["a", 1] == [("walk", 0, 0.1)]
    with pytest.raises(UsageError, match="the rate above 0"):
        Clock(rate=0)
