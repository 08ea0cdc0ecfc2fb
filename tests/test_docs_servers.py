"""Files for servers in the documentation: valid as text, and right about ports, places and each other."""

from pathlib import Path

import pytest
import yaml
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

PLACE = Path(__file__).parents[1] / "docs" / "serving"
COMPOSE = sorted(PLACE.glob("*.yaml"))
# Fields as TensorFlow Serving's session_bundle_config.proto and Triton's model_config.proto name them.
# {message: {field: type, or message}}; a type in a list is repeated.
KINDS = {
    "Int": {"value": "int64"},
    "BatchingParameters": dict.fromkeys(
        ("max_batch_size", "batch_timeout_micros", "max_enqueued_batches", "num_batch_threads"), "Int"
    ),
    "QueuePolicy": {"max_queue_size": "uint32"},
    "Batching": {
        "preferred_batch_size": ["int32"],
        "max_queue_delay_microseconds": "uint64",
        "default_queue_policy": "QueuePolicy",
    },
    "Group": {"kind": "Kind", "count": "int32"},
    "ModelConfig": {
        "name": "string",
        "backend": "string",
        "max_batch_size": "int32",
        "dynamic_batching": "Batching",
        "instance_group": ["Group"],
    },
}


def message(name):
    """An empty message of one of the kinds."""
    file = descriptor_pb2.FileDescriptorProto(name="servers.proto", package="servers", syntax="proto3")
    values = file.enum_type.add(name="Kind").value
    for number, value in enumerate(("KIND_AUTO", "KIND_GPU", "KIND_CPU", "KIND_MODEL")):
        values.add(name=value, number=number)
    for kind, fields in KINDS.items():
        made = file.message_type.add(name=kind)
        for number, (field, wanted) in enumerate(fields.items(), start=1):
            inner = wanted[0] if isinstance(wanted, list) else wanted
            one = made.field.add(name=field, number=number, label=3 if isinstance(wanted, list) else 1)
            if inner in KINDS or inner == "Kind":
                one.type, one.type_name = 14 if inner == "Kind" else 11, f".servers.{inner}"
            else:
                one.type = getattr(descriptor_pb2.FieldDescriptorProto, f"TYPE_{inner.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"servers.{name}"))()


def test_both_servers_are_there():
    assert [path.stem for path in COMPOSE] == ["tensorflow-serving", "triton"]


@pytest.mark.parametrize("path", COMPOSE, ids=lambda path: path.stem)
def test_compose_files(path):
    ((name, service),) = yaml.safe_load(path.read_text())["services"].items()
    assert name == path.stem and not service["image"].endswith("latest") and ":" in service["image"]
    check = service["healthcheck"]["test"]
    assert check[0] == "CMD" and all(isinstance(word, str) for word in (*check, *service["command"]))
    ports = {port.split(":")[-1] for port in service["ports"]}
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert any(port in check[-1] for port in ports)
    read = [Path(word.partition("=")[2]) for word in service["command"] if "=/" in word]
    for volume in service["volumes"]:
        source, target, mode = volume.split(":")
        inside = Path(target)
        assert mode == "ro" and any(inside in (place, *place.parents) or place in inside.parents for place in read)
        assert source.startswith("../../served/cells") or (path.parent / source).exists()


def test_batching_parameters():
    parameters = text_format.Parse((PLACE / "batching.txt").read_text(), message("BatchingParameters"))
    assert parameters.max_batch_size.value == 8 and parameters.batch_timeout_micros.value == 5000


def test_tritons_model():
    (path,) = (PLACE / "triton").rglob("config.pbtxt")
    config = text_format.Parse(path.read_text(), message("ModelConfig"))
    batching = config.dynamic_batching
    assert config.name == path.parent.name and config.max_batch_size == max(batching.preferred_batch_size)
    assert batching.max_queue_delay_microseconds == 5000


def test_unknown_fields_are_found():
    with pytest.raises(text_format.ParseError, match="no field named"):
        text_format.Parse("max_batch_sizes: 8", message("ModelConfig"))
