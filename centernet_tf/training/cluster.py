"""The processes that train one network, as their environment says: who they are, and which of them is this one.

No setting of a run says so, for a run goes on in other processes, on other machines or on one alone. Two ways are known
and work on both backends: TF_CONFIG, which Ray Train, Kubeflow and Vertex AI set, and Keras' KERAS_DISTRIBUTION_*.
Slurm's own variables are not read: within an allocation they are there for programs that run alone, too.
"""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from centernet_tf.errors import UsageError, brief

TF_CONFIG = "TF_CONFIG"
ADDRESSES, COUNT, NUMBER = (f"KERAS_DISTRIBUTION_{name}" for name in ("JOB_ADDRESSES", "NUM_PROCESSES", "PROCESS_ID"))


@dataclasses.dataclass(frozen=True)
class Cluster:
    """Processes that train together.

    Attributes:
        addresses: host:port of each, or of the first alone, which is all that JAX needs.
        count: How many there are.
        number: Of this one, from 0; the first one writes.
    """

    addresses: tuple[str, ...]
    count: int
    number: int

    def __post_init__(self) -> None:
        if len(self.addresses) not in (1, self.count) or not 0 <= self.number < self.count:
            raise UsageError(
                f"This is process {self.number} of {self.count} with {len(self.addresses)} addresses. Numbers begin at "
                "0, and there is one address for each process, or that of process 0."
            )
        for address in self.addresses:
            host, colon, port = address.rpartition(":")
            if not (host and colon and port.isdigit()):
                raise UsageError(f"{address!r} is no address of a process, such as node1:12345.")


def read_cluster(environment: Mapping[str, str]) -> Cluster | None:
    """The processes that `environment` names; None where it names none, or this one alone.

    Raises:
        UsageError: Not all is said, or something else than who they are.
    """
    if text := environment.get(TF_CONFIG):
        cluster = _of_tf_config(text)
    elif any(environment.get(name) for name in (ADDRESSES, COUNT, NUMBER)):
        cluster = _of_keras({name: environment.get(name, "") for name in (ADDRESSES, COUNT, NUMBER)})
    else:
        return None
    return cluster if cluster.count > 1 else None


def _of_keras(said: Mapping[str, str]) -> Cluster:
    if missing := [name for name, text in said.items() if not text]:
        raise UsageError(f"{', '.join(missing)} is not set. Set all of {', '.join(said)}, or none of them.")
    for name in (COUNT, NUMBER):
        if not said[name].isdigit():
            raise UsageError(f"{name} is {brief(said[name])}, expected a number.")
    addresses = tuple(one.strip() for one in said[ADDRESSES].split(","))
    return Cluster(addresses, int(said[COUNT]), int(said[NUMBER]))


def _of_tf_config(text: str) -> Cluster:
    """Chief and workers of TensorFlow's form: {"cluster": {"worker": [address, ...]}, "task": {"type", "index"}}."""
    try:
        content = json.loads(text)
        cluster, task = content.get("cluster", {}), content.get("task", {})
        kinds = [kind for kind in ("chief", "worker") if kind in cluster]
        addresses = tuple(address for kind in kinds for address in cluster[kind])
        before = sum(len(cluster[kind]) for kind in kinds[: kinds.index(task["type"])]) if cluster else 0
        number = before + int(task["index"]) if cluster else 0
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise _not_understood(text) from error
    if others := sorted({*cluster} - {*kinds}):
        raise UsageError(
            f"{TF_CONFIG} names processes of the kinds {', '.join(others)}; this program knows workers only."
        )
    return Cluster(addresses, len(addresses), number) if cluster else Cluster(("alone:0",), 1, 0)


def _not_understood(text: Any) -> UsageError:
    return UsageError(
        f"{TF_CONFIG} is {brief(text)}, expected a cluster's workers and which of them this is: "
        '{"cluster": {"worker": ["node1:12345", "node2:12345"]}, "task": {"type": "worker", "index": 0}}.'
    )
