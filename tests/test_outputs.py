"""What a run writes is checked before it begins; formats of result files come from the properties."""

import json
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from centernet_tf.errors import UsageError
from centernet_tf.media.sources import Source
from centernet_tf.outputs import Outputs, check_outputs, image_line, result_format, write_json
from centernet_tf.properties import PROPERTIES
from centernet_tf.properties.fields import Field
from centernet_tf.properties.property import Property, ResultFiles
from centernet_tf.results import Detections


class Weights(Property):
    """Has a format of its own: a line for each object, behind a first line that tells results from all else."""

    name = "weights"
    result_files: ClassVar = {
        "scales": ResultFiles(
            ".kg",
            write=lambda path, names, rows, digits: path.write_text("weights\n" + "\n".join(names)),
            owns=lambda path: path.read_text().startswith("weights"),
            read=lambda path, names: {},
        )
    }

    def to_json(self, rows, digits):
        return [{"weight": round(float(weight), digits)} for weight in rows["weights"]]

    def image_to_json(self, rows):
        return {"unit": str(rows["unit"])}

    @property
    def fields(self):
        return (Field("weights", "float32", (), "fixed", 0.0, "in kg"),)


@pytest.fixture
def outputs(tmp_path, monkeypatch):
    monkeypatch.setitem(PROPERTIES, "weights", Weights)
    return Outputs(tmp_path / "out", tmp_path / "out" / "r.json", result_files={"scales": tmp_path / "files"})


IMAGE, VIDEO = Source(Path("in/a.jpg"), False, "a.jpg"), Source(Path("in/b.mp4"), True, "b.mp4")


def test_formats_are_those_of_all_properties(outputs, tmp_path):
    assert result_format("scales").suffix == ".kg"
    assert list(outputs.files_of(IMAGE)) == [("scales", tmp_path / "files" / "a.kg")]
    with pytest.raises(UsageError, match=r"format of result files 'scale'. Did you mean 'scales'\? Known: .*scales"):
        result_format("scale")


@pytest.mark.parametrize(("text", "owned"), [("weights\nold", True), ("", False), ("labels", False)])
def test_only_results_are_replaced(outputs, tmp_path, text, owned):
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a.kg").write_text(text)
    if owned:
        check_outputs([IMAGE], outputs)
        return
    with pytest.raises(UsageError, match=r"a\.kg: would overwrite a file that holds no results.*--scales"):
        check_outputs([IMAGE], outputs)


def test_videos_have_no_result_files(outputs):
    with pytest.raises(UsageError, match=r"--scales writes a file for each image, but in/b\.mp4 is a video"):
        check_outputs([IMAGE, VIDEO], outputs)


def test_two_images_of_one_name(outputs):
    with pytest.raises(UsageError, match=r"a\.kg: would be written twice\. Give another folder to --scales"):
        check_outputs([IMAGE, Source(Path("in/a.png"), False, "a.png")], outputs)


@pytest.mark.parametrize(
    ("classes", "kept"), [(None, [0, 1, 2]), ((), []), (("cat",), [0, 2]), (("dog", "cat"), [0, 1, 2])]
)
def test_wanted_classes(tmp_path, classes, kept):
    found = Detections([[0, 0, 2, 2]] * 3, [0.5] * 3, [0, 1, 0], ("cat", "dog"), (8, 6), {"place": [0, 1, 2]})
    outputs = Outputs(tmp_path, tmp_path / "r.json", classes=classes)
    assert outputs.wanted(found).fields["place"].tolist() == kept
    nothing = Detections.empty(("cat", "dog"), (8, 6))
    assert len(outputs.wanted(nothing)) == 0


def test_extras_of_a_source(tmp_path):
    outputs = Outputs(tmp_path, tmp_path / "r.json", extras={"lens": lambda name: np.array([len(name)])})
    assert outputs.extras_of(IMAGE) == {"lens": len("in/a.jpg")}


def test_properties_add_keys_to_the_image_and_its_objects():
    found = Detections(
        [[0, 0, 2, 2]], [0.5], [0], ("cat",), (8, 6), {"weights": [1.23456]}, (Weights(),), {"unit": np.array("kg")}
    )
    assert image_line(3, found, file_name="a.jpg") == {
        "id": 3,
        "width": 8,
        "height": 6,
        "file_name": "a.jpg",
        "unit": "kg",
        "detections": [
            {
                "image_id": 3,
                "category_id": 1,
                "bbox": [0, 0, 2, 2],
                "score": 0.5,
                "weight": 1.2346,
                "category": "cat",
            }
        ],
    }


def test_a_file_is_there_only_when_it_is_whole(tmp_path):
    path = tmp_path / "new" / "r.json"
    with pytest.raises(KeyboardInterrupt), write_json(path, {"model": "m"}) as (write, _):
        write(Detections.empty(("cat",), (8, 6)))
        raise KeyboardInterrupt
    assert list(path.parent.iterdir()) == []
    with write_json(path, {"model": "m"}) as (write, tail):
        tail["skipped"] = []
        write(Detections.empty(("猫",), (8, 6)))
    assert json.loads(path.read_text(encoding="utf-8"))["skipped"] == []
