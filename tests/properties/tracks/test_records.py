"""Identities to records and back, as labels, JSON and pictures."""

import numpy as np
import pytest

from centernet_tf.data.dataset import iterate, open_dataset
from centernet_tf.datasets.items import Item
from centernet_tf.datasets.writer import write_records
from centernet_tf.errors import DataError
from centernet_tf.properties.property import Look
from centernet_tf.properties.tracks import LABEL, UNKNOWN, Tracks
from centernet_tf.properties.tracks.draw import draw_tracks
from centernet_tf.properties.tracks.mot_files import boxes_by_frame, read_rows, result_lines, write_lines

BOXES = np.float32([[2, 2, 12, 12], [20, 4, 40, 30], [1, 20, 15, 31]])


def item(number, ids, boxes=BOXES, **more):
    image = np.full((32, 48, 3), 9 * number, np.uint8)
    rows = {} if ids is None else {"track_ids": np.array(ids, np.int64)}
    count = len(boxes) if ids is None else len(ids)
    return Item(f"{number}", number, image, f"{number}.png", boxes[:count], [0] * count, rows=rows, **more)


def written(folder, *items, **options):
    settings = {"directory": folder, "name": "a", "split": "val", "classes": ("a",), "properties": (Tracks(),)}
    report = write_records(items, **settings, **options)
    return report, list(iterate(open_dataset(folder)))


def test_records_of_nothing(tmp_path):
    _, (record,) = written(tmp_path, item(1, [], video="v", frame=3))
    assert record.rows["track_ids"].shape == (0,) and record.rows["track_ids"].dtype == np.int64
    assert (record.video, record.frame, record.time) == ("v", 3, None)


def test_identities_come_back(tmp_path):
    first = item(1, [7, 2**40, 0], video="w\u00e4g", frame=5, time=0.25)
    _, (one, other) = written(tmp_path, first, item(2, None))
    assert one.rows["track_ids"].tolist() == [7, 2**40, 0] and other.rows["track_ids"].tolist() == [UNKNOWN] * 3
    assert (one.video, one.frame, one.time) == ("w\u00e4g", 5, 0.25)
    assert (other.video, other.frame, other.time) == ("", 0, None)


def test_an_identity_twice_is_a_fault_of_the_later_object(tmp_path):
    with pytest.raises(DataError, match="has identity 4, as object 1 of the frame"):
        written(tmp_path / "a", item(1, [4, -1, 4]))
    report, (record,) = written(tmp_path / "b", item(1, [4, -1, 4]), skip_bad=True)
    assert record.rows["track_ids"].tolist() == [4, -1] and report.boxes_dropped["identity twice"] == 1
    assert Tracks().faults({"track_ids": np.array([-1, -1, -1])}, (48, 32)) == [None] * 3


def test_a_list_of_another_length_is_refused():
    with pytest.raises(ValueError, match=f"{LABEL} holds 1 identities for 3 boxes"):
        Tracks().unpack({LABEL: np.array([1])}, BOXES, (48, 32))


def test_labels_and_json_name_who_is_known():
    rows = {"track_ids": np.array([3, UNKNOWN, 0])}
    assert Tracks().labels(["a", "b", "c"], rows) == ["a #3", "b", "c #0"]
    assert Tracks().to_json(rows, 2) == [{"track_id": 3}, {}, {"track_id": 0}]
    scored = {**rows, "tube_scores": np.float32([1 / 3, 0, 1])}
    assert Tracks().to_json(scored, 2)[0] == {"track_id": 3, "tube_score": 0.33}
    assert Tracks().to_json(scored, None)[2] == {"track_id": 0, "tube_score": 1.0}
    assert Tracks().labels([], {"track_ids": np.zeros(0, int)}) == []


def test_an_identity_has_one_colour():
    canvas = np.zeros((64, 64, 3), np.uint8)
    here, there = np.float32([[4, 4, 30, 30]]), np.float32([[30, 30, 60, 60]])

    def colours(box, number):
        drawn = Tracks().draw(canvas, {"boxes": box, "track_ids": np.array([number])}, Look(None, None, 1))
        return {tuple(color) for color in drawn.reshape(-1, 3).tolist()} - {(0, 0, 0)}

    assert colours(here, 3) == colours(there, 3) != colours(here, 4)
    assert not colours(here, UNKNOWN) and not canvas.any()
    nobody = {"boxes": np.zeros((0, 4)), "track_ids": np.zeros(0, int)}
    np.testing.assert_array_equal(draw_tracks(canvas, nobody), canvas)


def test_result_files_come_back(tmp_path):
    assert read_rows_of(tmp_path, []).shape == (0, 7)
    lines = result_lines(3, [1, 12], BOXES[:2] + 0.25, np.float32([0.9, 0.5]))
    assert lines[0] == "3,1,2.25,2.25,10.00,10.00,0.9000,-1,-1,-1"
    rows = read_rows_of(tmp_path, lines)
    np.testing.assert_allclose(rows[1], [3, 12, 20.25, 4.25, 20, 26, 0.5, -1, -1, -1])
    spaced = tmp_path / "spaced.txt"
    spaced.write_text("\n1 2 3 4 5 6 1\n")
    assert read_rows(spaced).tolist() == [[1, 2, 3, 4, 5, 6, 1]]


def read_rows_of(folder, lines):
    write_lines(folder / "result.txt", lines)
    return read_rows(folder / "result.txt")


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], {}),
        (["2,-1,10,20,5,6,0.9,-1,-1,-1"], {2: [[10, 20, 15, 26, 0.9]]}),
        (
            ["3,-1,1,2,3,4,-0.5", "1,-1,0,0,2,2,1", "3,-1,5,5,1,1,7"],
            {1: [[0, 0, 2, 2, 1]], 3: [[1, 2, 4, 6, -0.5], [5, 5, 6, 6, 7]]},
        ),
    ],
)
def test_boxes_of_another_detector_by_frame(lines, expected, tmp_path):
    path = tmp_path / "det.txt"
    path.write_text("\n".join(lines))
    assert {frame: boxes.tolist() for frame, boxes in boxes_by_frame(path).items()} == expected


def test_boxes_of_another_detector_have_an_area(tmp_path):
    path = tmp_path / "det.txt"
    path.write_text("1,-1,0,0,2,2,1\n1,-1,0,0,2,0,1\n")
    with pytest.raises(DataError, match=r"det.txt: box 2 is \[2.0, 0.0\] wide and high; expected more"):
        boxes_by_frame(path)
