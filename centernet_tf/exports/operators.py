"""Which operators a TFLite file has, and which of them XNNPACK runs, the delegate that LiteRT uses on processors.

Delegates of GPUs and other chips are not asked: they are on phones, and `tf.lite.experimental.Analyzer`, which is said
to know a GPU's operators, calls every file of TensorFlow 2.21 compatible, also one that has UNIQUE in it.
"""

import collections
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

DELEGATE = "DELEGATE"  # what LiteRT calls the one operator that stands for a part that a delegate has taken


@dataclasses.dataclass(frozen=True)
class Operators:
    """What was found in a file.

    Attributes:
        counts: How many there are of each operator.
        xnnpack: Of these, how many XNNPACK has taken.
        parts: How many parts it took them in; between two of them other kernels run.
    """

    counts: Mapping[str, int]
    xnnpack: Mapping[str, int]
    parts: int

    def table(self) -> Table:
        """For people, those that XNNPACK leaves to other kernels first."""
        table = Table(title=f"Operators; XNNPACK takes them in {self.parts} part{'s' * (self.parts != 1)}")
        for column, side in (("operator", "left"), ("there are", "right"), ("XNNPACK", "right")):
            table.add_column(column, justify=side)
        rows = [(name, count, self.xnnpack.get(name, 0)) for name, count in self.counts.items()]
        for name, *numbers in sorted(rows, key=lambda row: (row[2] - row[1], row[0])):
            table.add_row(name, *map(str, numbers))
        table.add_section()
        table.add_row("all", *(str(sum(row[column] for row in rows)) for column in (1, 2)))
        return table


def operators(path: Path) -> Operators:
    """Looks into a TFLite file, as LiteRT distributes its graph on this machine."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path))
    interpreter.allocate_tensors()
    details = interpreter._get_ops_details()
    own = [one for one in details if one["op_name"] != DELEGATE]
    parts = [one for one in details if one["op_name"] == DELEGATE]
    names = [one["op_name"] for one in own]
    return Operators(
        collections.Counter(names), collections.Counter(names[index] for index in taken(own, parts)), len(parts)
    )


def taken(operators: Sequence[Mapping[str, Any]], parts: Iterable[Mapping[str, Any]]) -> set[int]:
    """Which operators lie within parts of a graph, by their number in the list.

    Args:
        operators: Each with the numbers of the tensors that it reads and writes, "inputs" and "outputs".
        parts: Likewise; a part reads its inputs and writes its outputs, and whatever lies between is in it.
    """
    makers = {tensor: index for index, one in enumerate(operators) for tensor in one["outputs"]}
    found: set[int] = set()
    for part in parts:
        given, wanted = set(part["inputs"]), list(part["outputs"])
        while wanted:
            index = makers.get(wanted.pop())
            if index is not None and index not in found:
                found.add(index)
                wanted += [tensor for tensor in operators[index]["inputs"] if tensor not in given]
    return found
