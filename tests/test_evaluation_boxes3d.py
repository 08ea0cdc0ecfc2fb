"""3D boxes of a detector are scored on records with cameras."""

import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest

from centernet_tf.cli import evaluate as command
from centernet_tf.cli import main
from centernet_tf.data.dataset import iterate, open_dataset
from centernet_tf.datasets.items import Item
from centernet_tf.datasets.writer import write_records
from centernet_tf.errors import DataError, UsageError
from centernet_tf.evaluate_files import evaluate_files
from centernet_tf.evaluation import evaluate
from centernet_tf.properties.boxes3d import Boxes3d
from centernet_tf.properties.boxes3d.kitti_files import write_rows
from centernet_tf.properties.boxes3d.records import from_columns
from centernet_tf.results import Detections

NAMES = ("Pedestrian", "Car")
FIELDS = ("alphas", "dimensions", "locations", "rotations")


def write(directory, has_boxes3d=True):
    items = []
    for number in range(4):
        camera = np.array([[700 + number, 0, 100, 5], [0, 700, 60, 0.1], [0, 0, 1, 0.01]])
        boxes3d = [[-1, 1.5, 1.6, 4, 1, 2, 10 + number, 0.3], [2, 1.7, 0.6, 0.8, -2, 2, 8, 3], [np.nan] * 8]
        rows = {**from_columns(boxes3d), "camera": camera, "truncated": [0, 0, 0], "occluded": [0, 1, 3]}
        items.append(
            Item(
                key=str(number), image_id=number, source=np.full((120, 200, 3), number, np.uint8),
                filename=f"{number}.png", boxes=np.array([[5, 5, 90, 60], [100, 20, 140, 90], [150, 0, 200, 40]]),
                classes=[1, 0, -1], ignored=[False, False, True], names=["Car", "Pedestrian", "DontCare"],
                rows=rows if has_boxes3d else {},
            )
        )  # fmt: skip
    properties = [Boxes3d()] if has_boxes3d else []
    write_records(items, directory=directory, name="a", split="val", classes=NAMES, properties=properties)
    return open_dataset(directory)


class Oracle:
    """Finds what the records say, moved, and a car in the region that nobody labelled."""

    names, limit, properties = NAMES, 20, (Boxes3d(),)
    extras = (SimpleNamespace(name="camera"),)

    def __init__(self, dataset, shift=0.0):
        self.known, self.shift, self.cameras = list(iterate(dataset)), shift, []

    def search(self, entries, threshold, batch_size):
        for (key, image, extras), record in zip(entries, self.known):
            assert image == record.image
            self.cameras.append(extras["camera"])
            fields = {name: record.rows[name][[0, 1, 0]] for name in FIELDS}
            fields["locations"] = fields["locations"] + [
                [self.shift, 0, 0],
                [self.shift, 0, 0],
                [30 + self.shift, 0, 0],
            ]
            row = record.boxes[:3], np.array([0.9, 0.8, 0.7]), np.array([1, 0, 1]), NAMES, (200, 120)
            yield key, image, Detections(*row, fields, properties=self.properties, extras=extras)


def test_boxes3d_are_scored_with_the_cameras_of_their_records(tmp_path):
    dataset = write(tmp_path)
    oracle, done = Oracle(dataset), []
    scores = evaluate(oracle, dataset, batch_size=2, advance=done.append)
    assert sum(done) == 4
    np.testing.assert_allclose([camera[0, 0] for camera in oracle.cameras], [700, 701, 702, 703])
    assert scores.coco.summary["AP"] == pytest.approx(1)  # what lies in the ignored region does not count
    boxes3d, _ = scores.scores
    ap = boxes3d.ap()
    np.testing.assert_allclose(ap[0, :, 1:], 1)
    np.testing.assert_allclose(ap[3, :, 1:], 1)  # the wrong car has the lowest score: after full recall
    assert scores.main == {"AP": pytest.approx(1), "3D AP": 1}
    assert boxes3d.truth[:, 0].tolist() == [0, 4]


def test_moved_boxes_score_less_in_space_alone(tmp_path):
    dataset = write(tmp_path)
    near, far = (evaluate(Oracle(dataset, shift), dataset) for shift in (0.3, 3.0))
    assert near.main["3D AP"] == 1 > far.main["3D AP"] and far.coco.summary["AP"] == pytest.approx(1)
    assert evaluate(Oracle(dataset, 0.3), dataset, iou="0.9").main["3D AP"] < 1


def test_records_without_cameras_are_refused(tmp_path):
    dataset = write(tmp_path, has_boxes3d=False)
    with pytest.raises(UsageError, match="the model needs 'camera' of each image"):
        evaluate(Oracle(dataset), dataset)


def test_other_models_are_scored_by_their_boxes_alone(tmp_path):
    dataset = write(tmp_path)

    class Flat(Oracle):
        properties, extras = (), ()

        def search(self, entries, threshold, batch_size):
            with_cameras = ((key, image, {"camera": np.eye(3, 4)}) for key, image, _ in entries)
            for key, image, found in super().search(with_cameras, threshold, batch_size):
                yield key, image, dataclasses.replace(found, fields={}, extras={})

    scores = evaluate(Flat(dataset), dataset)
    assert scores.scores == () and scores.main == {"AP": pytest.approx(1)}


@pytest.mark.parametrize(("iou", "code"), [("kitti", 0), ("0.4", 0), ("half", 2)])
def test_command(iou, code, tmp_path, monkeypatch, capsys):
    dataset = write(tmp_path / "val")
    monkeypatch.setattr(command, "load_detector", lambda *arguments: Oracle(dataset))
    numbers = tmp_path / "scores.json"
    arguments = ["evaluate", "none.keras", "--data", str(tmp_path / "val"), "--iou", iou]
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--json", str(numbers)])
    assert (ended.value.code or 0) == code
    if code:
        assert "IoU 'half' of 3D boxes is unknown" in capsys.readouterr().err
        return
    content = json.loads(numbers.read_text())
    assert [row["found"] for row in content["depths"]] == [4, 2, 2]
    assert all(row["error"] == 0 for row in content["depths"])
    car = content["boxes3d"]["classes"][1]
    assert car["R40"]["3D"] == {"easy": 1, "moderate": 1, "hard": 1, "all": 1} and car["objects"]["easy"] == 4
    assert car["ious"]["3D"] == (0.7 if iou == "kitti" else 0.4)
    assert "Pedestrian" in capsys.readouterr().out


def write_files(folder, dataset):
    """The oracle's results as files, in lower case as some programs write them."""
    oracle = Oracle(dataset)
    entries = ((record, record.image, {"camera": record.rows["camera"]}) for record in oracle.known)
    for record, _, found in oracle.search(entries, 0, 1):
        names = [NAMES[label].lower() for label in found.classes]
        write_rows(folder / f"{record.filename.removesuffix('.png')}.txt", names, found.rows, 4)


def test_results_in_files_score_as_the_model_that_wrote_them(tmp_path):
    dataset = write(tmp_path / "val")
    write_files(tmp_path / "results", dataset)
    with (tmp_path / "results" / "0.txt").open("a") as file:
        file.write("Tram 0 0 0 1 2 30 40 2 2 2 1 1 9 0 0.99\n")  # nobody asks for these
    done = []
    from_files, own = evaluate_files(tmp_path / "results", dataset, done.append), evaluate(Oracle(dataset), dataset)
    for (boxes3d, depths), (own_boxes3d, own_depths) in [(from_files.scores, own.scores)]:
        np.testing.assert_array_equal(boxes3d.precision, own_boxes3d.precision)
        assert depths.found.tolist() == own_depths.found.tolist()
    np.testing.assert_allclose(from_files.coco.ap, own.coco.ap)
    assert sum(done) == 4


@pytest.mark.parametrize(
    ("text", "message"),
    [(None, "not readable"), ("Car 0 0 0 1 2 30 40 2 2 2 1 1 9 0\n", "no score"), ("Car 0\n", "line 1 has 2 columns")],
)
def test_wrong_result_files_are_named(text, message, tmp_path):
    dataset = write(tmp_path / "val")
    write_files(tmp_path / "results", dataset)
    path = tmp_path / "results" / "2.txt"
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises(DataError, match=f"2.txt.*{message}"):
        evaluate_files(tmp_path / "results", dataset)


def test_a_damaged_first_file_is_named(tmp_path):
    dataset = write(tmp_path / "val")
    write_files(tmp_path / "results", dataset)
    (tmp_path / "results" / "0.txt").write_text("Car 0\n")
    with pytest.raises(DataError, match=r"0\.txt.*line 1 has 2 columns"):
        evaluate_files(tmp_path / "results", dataset)


def test_results_in_files_need_records_with_their_property(tmp_path):
    (tmp_path / "0.txt").touch()
    with pytest.raises(UsageError, match=r"results of boxes3d, which the records in .* lack"):
        evaluate_files(tmp_path, write(tmp_path / "val", has_boxes3d=False))


def test_other_folders_are_no_results(tmp_path):
    with pytest.raises(UsageError, match=r"no result files. Known: kitti \(\*.txt\)"):
        evaluate_files(tmp_path, write(tmp_path / "val"))


def test_command_takes_a_folder_of_results(tmp_path, capsys):
    write_files(tmp_path / "results", write(tmp_path / "val"))
    with pytest.raises(SystemExit) as ended:
        main(["evaluate", str(tmp_path / "results"), "--data", str(tmp_path / "val")])
    assert (ended.value.code or 0) == 0 and "Pedestrian" in capsys.readouterr().out


@pytest.mark.parametrize(
    "option", [("--flip",), ("--size", "64x64"), ("--round", "2"), ("--halo", "0"), ("--batch-size", "8")]
)
def test_command_changes_no_results(option, tmp_path, capsys):
    (tmp_path / "results").mkdir()
    with pytest.raises(SystemExit) as ended:
        main(["evaluate", str(tmp_path / "results"), "--data", str(tmp_path), *option])
    assert ended.value.code == 2 and f"{option[0]}: " in capsys.readouterr().err
