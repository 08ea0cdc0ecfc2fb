"""Rows are read back as they were written, from either format."""

import json

import pytest

from centernet_tf.errors import DataError, UsageError
from centernet_tf.shards.formats import FORMATS, check_packages, read_file

DETECTION = {"image_id": 7, "category_id": 2, "category": "cell", "bbox": [1.5, -2.0, 3.25, 4.0], "score": 0.91}
IMAGE = {"id": 7, "width": 64, "height": 48, "file_name": "a/\u00e9.jpg", "output": None}
CASES = {
    "empty": [],
    "nothing found": [{**IMAGE, "detections": []}],
    "bad": [{"id": 3, "file_name": "b.jpg", "reason": "b.jpg: empty"}],
    "plain": [{**IMAGE, "detections": [DETECTION, {**DETECTION, "score": 0.3}]}],
    "with properties": [
        {**IMAGE, "interactions": [{"subject": 0, "object": None}], "detections": [{**DETECTION, "hue": [0.1, None]}]},
        {**IMAGE, "id": 8, "detections": [{**DETECTION, "size": {"counts": "a\u00e9", "size": [4, 4]}}]},
    ],
}


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("rows", CASES.values(), ids=CASES)
def test_there_and_back(tmp_path, format, rows):
    path = tmp_path / f"part.{format}"
    FORMATS[format].write(path, rows)
    assert list(read_file(path, format)) == rows
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_json_lines_are_a_row_each(tmp_path):
    FORMATS["jsonl"].write(tmp_path / "x", CASES["plain"] * 2)
    assert [json.loads(line) for line in (tmp_path / "x").read_text("utf-8").splitlines()] == CASES["plain"] * 2


def test_parquet_has_the_same_columns_for_every_model(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    schemas = set()
    for name, rows in CASES.items():
        FORMATS["parquet"].write(tmp_path / name, rows)
        schemas.add(str(parquet.read_schema(tmp_path / name)))
    assert len(schemas) == 1 and "score: double" in schemas.pop()


@pytest.mark.parametrize("format", FORMATS)
def test_half_a_file_is_told(tmp_path, format):
    path = tmp_path / "part"
    FORMATS[format].write(path, CASES["plain"])
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"part: damaged .* Remove it and run again"):
        list(read_file(path, format))
    with pytest.raises(DataError, match="gone: damaged"):
        list(read_file(tmp_path / "gone", format))


@pytest.mark.parametrize("format", FORMATS)
def test_a_full_disk_leaves_nothing(tmp_path, format, small_disk):
    with small_disk(64), pytest.raises(DataError, match="cannot be written"):
        FORMATS[format].write(tmp_path / "part", CASES["plain"] * 50)
    assert not list(tmp_path.iterdir())


def test_missing_packages_are_told_with_their_extra():
    check_packages("--format x", (("json", "nothing"),))
    with pytest.raises(UsageError, match=r"--engine x: no_such_module is missing .*pip install 'centernet_tf\[ray\]'"):
        check_packages("--engine x", (("no_such_module", "ray"),))
