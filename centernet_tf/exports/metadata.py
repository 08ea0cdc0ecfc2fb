"""What a TFLite file says of itself, so that MediaPipe Tasks and its like need no settings.

The description is a flatbuffer of the TFLite Metadata schema ("M001") in the file's own list of buffers; class names
are a file in a zip archive behind the model. Tables are written here by the numbers of their fields, which the schema
promises never to change.
"""

import io
import zipfile
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import flatbuffers
import numpy as np
from tensorflow.lite.python import schema_py_generated as schema

from centernet_tf.exports.about import ABOUT
from centernet_tf.exports.answers import BOXES, CLASSES, COUNT, SCORES, all_answers, label_lines

LABELS = "labels.txt"
KEY = b"TFLITE_METADATA"
# A client looks outputs up by these names; those of further answers are their labels.
PUBLIC = {BOXES: "location", CLASSES: "category", SCORES: "score", COUNT: "number of detections"}
GROUPED = ("location", "category", "score")

Table = dict[int, Any]  # {number of the field: value}
_VALUE_LABELS, _RGB, _BOUNDARIES, _RATIO = (np.int8(number) for number in (3, 1, 1, 0))
_FEATURE, _IMAGE, _BOX, _NORMALIZATION = (np.uint8(number) for number in (1, 2, 3, 1))  # Kinds in a union.


class Builder(flatbuffers.Builder):
    """Writes a model whose weights lie where vector instructions read them fastest, as the converter does."""

    def StartVector(self, elemSize: int, numElems: int, alignment: int) -> Any:  # noqa: N802, N803  The base's names.
        return super().StartVector(elemSize, numElems, max(16, alignment))


def write(builder: flatbuffers.Builder, value: Any) -> int:
    """Writes a text, a table, an array of numbers or a list of texts or tables.

    Fields that are NumPy numbers are stored in their own type; a field of 0 is its schema's default and takes no room.

    Returns:
        Where it lies.
    """
    if isinstance(value, str):
        return builder.CreateString(value)
    if isinstance(value, np.ndarray):
        return builder.CreateNumpyVector(value)
    if isinstance(value, list):
        places = [write(builder, item) for item in value]
        builder.StartVector(4, len(places), 4)
        for place in reversed(places):
            builder.PrependUOffsetTRelative(place)
        return builder.EndVector()
    places = {field: item if isinstance(item, np.generic) else write(builder, item) for field, item in value.items()}
    builder.StartObject(max(places, default=-1) + 1)
    for field, place in places.items():
        if isinstance(place, np.generic):
            slot = {
                "int8": builder.PrependInt8Slot,
                "uint8": builder.PrependUint8Slot,
                "int32": builder.PrependInt32Slot,
            }
            slot[place.dtype.name](field, place, 0)
        else:
            builder.PrependUOffsetTRelativeSlot(field, place, 0)
    return builder.EndObject()


def _content(kind: np.uint8, properties: Table, per_row: bool = False) -> Table:
    """What a tensor holds; per row where it is a list of such things along its axis 1."""
    content = {0: kind, 1: properties}
    return {**content, 2: {0: np.int32(2), 1: np.int32(2)}} if per_row else content


def _input() -> Table:
    normalization = {0: np.zeros(1, np.float32), 1: np.ones(1, np.float32)}
    return {
        0: "image",
        1: "RGB in 0..255.",
        3: _content(_IMAGE, {0: _RGB}),
        4: [{0: _NORMALIZATION, 1: normalization}],
        5: {0: np.full(1, 255, np.float32), 1: np.zeros(1, np.float32)},
    }


def _output(name: str) -> Table:
    classes = {0: LABELS, 1: "Names of the classes, the first is 0.", 2: _VALUE_LABELS}
    corners = {0: np.array([1, 0, 3, 2], np.uint32), 1: _BOUNDARIES, 2: _RATIO}
    tables = {
        BOXES: {1: "Top, left, bottom, right in 0..1.", 3: _content(_BOX, corners, per_row=True)},
        CLASSES: {1: "Counted from 0.", 3: _content(_FEATURE, {}, per_row=True), 6: [classes]},
        SCORES: {1: "In 0..1, best first.", 3: _content(_FEATURE, {}, per_row=True)},
        COUNT: {1: "Rows with a score above 0.", 3: _content(_FEATURE, {})},
    }
    labels = dict(PUBLIC)
    for answer in all_answers():
        tables[answer.name] = {1: f"{answer.meaning}.", 3: _content(_FEATURE, {}, per_row=True)}
        labels[answer.name] = answer.label or answer.name
    return {0: labels.get(name, name), **tables.get(name, {3: _content(_FEATURE, {})})}


def description(names: Sequence[str], further: Mapping[str, str] = MappingProxyType({})) -> bytes:
    """The flatbuffer.

    Args:
        names: Of the model's outputs, in order; those of `answers` get the names that clients know.
        further: Its inputs behind the image, {name: meaning}.
    """
    inputs = [_input(), *({0: name, 1: meaning, 3: _content(_FEATURE, {})} for name, meaning in further.items())]
    graph: Table = {2: inputs, 3: [_output(name) for name in names]}
    labels: Table = {}
    if CLASSES in names:
        graph[8] = [{0: "detection_result", 1: list(GROUPED)}]
    else:  # No tensor holds classes, so their names belong to the model.
        labels = {6: [{0: LABELS, 1: "Names of the heatmap's channels."}]}
    model = {0: "CenterNet", 1: "Finds objects as points.", 3: [graph], **labels, 7: "1.2.0"}
    builder = flatbuffers.Builder(1024)
    builder.Finish(write(builder, model), b"M001")
    return bytes(builder.Output())


def add_metadata(
    model: Any,
    names: Sequence[str],
    classes: Sequence[str],
    about: str,
    further: Mapping[str, str] = MappingProxyType({}),
) -> bytes:
    """Finishes a TFLite file.

    Args:
        model: What `flatbuffer_utils.read_model_from_bytearray` returned.
        names: Of its outputs, in order.
        classes: Names of the classes.
        about: Text of model.json.
        further: Its inputs behind the image, {name: meaning}.

    Returns:
        The file.

    Raises:
        UsageError: A class's name holds a line break.
    """
    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = np.frombuffer(description(names, further), np.uint8)
    entry.name, entry.buffer = KEY, len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or []), entry]
    builder = Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    file = io.BytesIO(builder.Output())
    with zipfile.ZipFile(file, "a") as archive:  # Stored, and with a fixed date: the same model gives the same file.
        archive.writestr(zipfile.ZipInfo(LABELS), label_lines(classes))
        archive.writestr(zipfile.ZipInfo(ABOUT), about)
    return file.getvalue()
