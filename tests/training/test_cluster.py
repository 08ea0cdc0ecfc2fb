import json

import pytest

from centernet_tf.errors import UsageError
from centernet_tf.training.cluster import ADDRESSES, COUNT, NUMBER, TF_CONFIG, Cluster, read_cluster

TWO = "node1:12345,node2:12345"


def keras_says(addresses=TWO, count="2", number="1"):
    return {ADDRESSES: addresses, COUNT: count, NUMBER: number}


def tensorflow_says(cluster, kind="worker", index=0):
    return {TF_CONFIG: json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})}


@pytest.mark.parametrize(
    "said",
    [
        keras_says(),
        keras_says("node1:12345, node2:12345"),
        tensorflow_says({"worker": TWO.split(",")}, index=1),
        tensorflow_says({"chief": ["node1:12345"], "worker": ["node2:12345"]}),
        tensorflow_says({"worker": ["node2:12345"], "chief": ["node1:12345"]}),
    ],
)
def test_both_forms(said):
    assert read_cluster(said) == Cluster(("node1:12345", "node2:12345"), 2, 1)


def test_jax_needs_one_address():
    assert read_cluster(keras_says("node1:12345")) == Cluster(("node1:12345",), 2, 1)


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"SLURM_NTASKS": "8", "SLURM_PROCID": "3"},
        {TF_CONFIG: "{}"},
        {TF_CONFIG: ""},
        keras_says("node1:12345", "1", "0"),
        tensorflow_says({"worker": ["node1:12345"]}),
    ],
)
def test_alone(said):
    assert read_cluster(said) is None


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({ADDRESSES: TWO}, "NUM_PROCESSES, KERAS_DISTRIBUTION_PROCESS_ID is not set"),
        (keras_says(number="x"), "PROCESS_ID is 'x', expected a number"),
        (keras_says(number="2"), "process 2 of 2"),
        (keras_says(count="3"), "of 3 with 2 addresses"),
        (keras_says("node1,node2"), "'node1' is no address"),
        ({TF_CONFIG: "{"}, "TF_CONFIG is '{', expected"),
        ({TF_CONFIG: "[1]"}, "TF_CONFIG is '[1]', expected"),
        ({TF_CONFIG: json.dumps({"cluster": {"worker": ["a:1", "b:2"]}})}, "expected a cluster's workers"),
        (tensorflow_says({"worker": ["a:1"], "ps": ["b:1"]}), "of the kinds ps"),
    ],
)
def test_what_is_not_said_is_told(said, told):
    with pytest.raises(UsageError) as error:
        read_cluster(said)
    assert told in str(error.value)
