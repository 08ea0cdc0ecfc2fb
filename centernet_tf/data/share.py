"""Which images of every batch a process makes, where several processes train one network."""

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True)
class Share:
    """The part of one process: consecutive places of every batch, the first process has the first.

    All processes go through the same records in the same order, so their parts are those of one process that makes all
    of a batch; each reads every record, and decodes and changes its own images only.

    Attributes:
        process: Number of this process, from 0.
        processes: How many there are.
        pieces: Into how many batches, one behind the other, the part is cut: one for each device where each runs a step
            by itself.
        alike: Whether batches of all processes must have one shape, so that rows without objects stay.
    """

    process: int = 0
    processes: int = 1
    pieces: int = 1
    alike: bool = False

    def images(self, batch: int) -> int:
        """How many images a piece has of batches of so many, which the number of pieces must divide."""
        return batch // (self.processes * self.pieces)

    def of(self, examples: Any, batch: int) -> Any:
        """The elements (place in the epoch, example) of a `tf.data.Dataset` that are made here."""
        own = batch // self.processes
        if self.processes == 1:
            return examples
        return examples.filter(lambda place, example: place % batch // own == self.process)


WHOLE = Share()  # All of every batch, at once.
