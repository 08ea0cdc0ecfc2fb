"""The description inside a TFLite file reads back as the schema says."""

import io
import zipfile

import flatbuffers
import keras
import numpy as np
import pytest
from flatbuffers.table import Table

from centernet_tf.errors import UsageError
from centernet_tf.exports.about import read_about
from centernet_tf.exports.answers import NAMES, all_answers
from centernet_tf.model.card import InputCard, ModelCard
from centernet_tf.points.centers import Centers
from centernet_tf.points.task import Extra

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="the converter to TFLite is TensorFlow's"
)
SIZE = (64, 96)
CLASSES = ("cat", "Schäferhund")


class Row(Table):
    """A table of a flatbuffer, whose fields are read by their numbers."""

    def place(self, field):
        return self.Pos + self.Offset(4 + 2 * field)

    def has(self, field):
        return bool(self.Offset(4 + 2 * field))

    def text(self, field):
        return self.String(self.place(field)).decode()

    def number(self, field, kind):
        flags = getattr(flatbuffers.number_types, f"{kind}Flags")
        return self.Get(flags, self.place(field)) if self.has(field) else 0

    def table(self, field):
        return Row(self.Bytes, self.Indirect(self.place(field)))

    def tables(self, field):
        offset = self.Offset(4 + 2 * field)
        start = self.Vector(offset)
        return [Row(self.Bytes, self.Indirect(start + 4 * i)) for i in range(self.VectorLen(offset))]

    def texts(self, field):
        offset = self.Offset(4 + 2 * field)
        start = self.Vector(offset)
        return [self.String(start + 4 * i).decode() for i in range(self.VectorLen(offset))]

    def numbers(self, field, kind):
        flags = getattr(flatbuffers.number_types, f"{kind}Flags")
        return self.GetVectorAsNumpy(flags, self.Offset(4 + 2 * field)).tolist()


def read(content: bytes) -> Row:
    assert content[4:8] == b"M001"
    return Row(bytearray(content), flatbuffers.encode.Get(flatbuffers.packer.uoffset, content, 0))


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """A file whose boxes, classes and scores are known: one object a class, in the middle of two cells."""
    from centernet_tf.exports.tflite import export_tflite

    image = keras.Input((None, None, 3), name="image")
    mean = keras.layers.AveragePooling2D(4)(image)
    heads = {head.name: keras.layers.Conv2D(head.channels, 1, name=head.name) for head in Centers(len(CLASSES)).heads()}
    network = keras.Model(image, {name: [layer(mean)] for name, layer in heads.items()})
    heads["heatmap"].set_weights([np.float32([[8, -8], [-8, 8], [-8, -8]])[None, None], np.float32([-3, -3])])
    for name, value in (("offset", (0.25, 0.75)), ("size", (8, 6))):
        heads[name].set_weights([np.zeros((1, 1, 3, 2)), np.array(value)])
    card = InputCard(height=SIZE[0], width=SIZE[1], stride=4, mean=(0, 0, 0), std=(1, 1, 1), order="rgb")
    card = ModelCard(tasks={"detect": {}}, backbone="tiny", classes=CLASSES, max_objects=20, input=card)
    return export_tflite((network, card), tmp_path_factory.mktemp("tflite") / "spots.tflite")


def metadata_of(file) -> Row:
    from tensorflow.lite.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model(str(file))
    (entry,) = (entry for entry in model.metadata if entry.name == b"TFLITE_METADATA")
    return read(bytes(model.buffers[entry.buffer].data))


def test_describes_input_and_outputs(file):
    model = metadata_of(file)
    assert model.text(7) == "1.2.0"
    (graph,) = model.tables(3)
    (image,) = graph.tables(2)
    assert image.text(0) == "image"
    content = image.table(3)
    assert content.number(0, "Uint8") == 2 and content.table(1).number(0, "Int8") == 1
    (unit,) = image.tables(4)
    assert unit.number(0, "Uint8") == 1
    assert unit.table(1).numbers(0, "Float32") == [0] and unit.table(1).numbers(1, "Float32") == [1]
    assert image.table(5).numbers(0, "Float32") == [255] and image.table(5).numbers(1, "Float32") == [0]
    outputs = graph.tables(3)
    assert [row.text(0) for row in outputs] == ["location", "category", "score", "number of detections"]
    location, category, score, count = (row.table(3) for row in outputs)
    assert [row.number(0, "Uint8") for row in (location, category, score, count)] == [3, 1, 1, 1]
    box = location.table(1)
    assert (box.numbers(0, "Uint32"), box.number(1, "Int8"), box.number(2, "Int8")) == ([1, 0, 3, 2], 1, 0)
    for content in (location, category, score):
        assert [content.table(2).number(end, "Int32") for end in (0, 1)] == [2, 2]
    assert not count.has(2)
    (labels,) = outputs[1].tables(6)
    assert (labels.text(0), labels.number(2, "Int8")) == ("labels.txt", 3)
    (group,) = graph.tables(8)
    assert group.text(0) == "detection_result" and group.texts(1) == ["location", "category", "score"]


def test_holds_the_names_of_the_classes(file):
    with zipfile.ZipFile(io.BytesIO(file.read_bytes())) as archive:
        assert archive.namelist() == ["labels.txt", "model.json"]
        assert read_about(archive.read("model.json").decode(), str(file)).classes == CLASSES
        assert archive.read("labels.txt").decode().splitlines() == list(CLASSES)
        assert archive.infolist()[0].compress_type == zipfile.ZIP_STORED


def test_weights_keep_their_alignment(file):
    from tensorflow.lite.python import schema_py_generated as schema

    content = bytearray(file.read_bytes())
    model = schema.Model.GetRootAs(content, 0)
    places = [model.Buffers(number) for number in range(model.BuffersLength())]
    starts = [row._tab.Vector(row._tab.Offset(4)) for row in places if row.DataLength()]
    assert len(starts) > 3 and {start % 16 for start in starts} == {0}


def test_maps_are_described_without_a_group():
    from centernet_tf.exports.metadata import description

    model = read(description(["heatmap", "offset", "size"]))
    (graph,) = model.tables(3)
    assert [row.text(0) for row in graph.tables(3)] == ["heatmap", "offset", "size"]
    assert not graph.has(8)
    assert model.tables(6)[0].text(0) == "labels.txt"


def test_every_answer_is_described_by_its_own_words():
    from centernet_tf.exports.metadata import description

    (graph,) = read(description([*NAMES, *(answer.name for answer in all_answers())])).tables(3)
    rows = graph.tables(3)[len(NAMES) :]
    assert [row.text(0) for row in rows] == [answer.label or answer.name for answer in all_answers()]
    assert [row.text(1) for row in rows] == [f"{answer.meaning}." for answer in all_answers()]
    assert [row.table(3).table(2).number(0, "Int32") for row in rows] == [2] * len(rows)  # one for each object


def test_extras_are_described_as_inputs():
    from centernet_tf.exports.metadata import description
    from centernet_tf.exports.phone import Argument

    moves = Extra("lens", (2,), fit=lambda values, matrix: values, meaning="focal lengths in pixels")
    stays = Extra("hour", (), meaning="the hour of the day")
    further = {one.name: one.meaning for one in map(Argument.of_extra, (moves, stays))}
    (graph,) = read(description(NAMES, further)).tables(3)
    image, lens, hour = graph.tables(2)
    assert (image.text(0), lens.text(0), hour.text(0)) == ("image", "lens", "hour")
    assert lens.text(1) == "Of the input, to which the image was fitted. focal lengths in pixels."
    assert hour.text(1) == "the hour of the day."


def test_a_name_of_two_lines_is_refused(file):
    from tensorflow.lite.tools import flatbuffer_utils

    from centernet_tf.exports.metadata import add_metadata

    with pytest.raises(UsageError, match="several lines"):
        add_metadata(flatbuffer_utils.read_model(str(file)), NAMES, ("a\nb",), "{}")
