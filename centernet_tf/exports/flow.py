"""Which operators of a network stay in float where it computes in eight bits: what eight bits destroy.

A box needs finer coordinates than 256 steps, and scores in 256 steps tie. Positions at which deformable convolutions
sample are such coordinates too.

They are found by how the graph flows, not by names of layers, which converters mix when they fuse operators.
"""

import dataclasses
from collections.abc import Iterable, Sequence


@dataclasses.dataclass(frozen=True)
class Flow:
    """The operators of a graph by number, in an order in which they can run.

    Attributes:
        convolutions: Those that are convolutions of any kind.
        floors: Those that round down.
        aside: Those that read an input which is no image.
        before: Per operator, the numbers of those whose outputs it reads.
    """

    convolutions: set[int]
    floors: set[int]
    aside: set[int]
    before: Sequence[Sequence[int]]

    @property
    def after(self) -> list[list[int]]:
        """Per operator, the numbers of those that read its outputs."""
        found: list[list[int]] = [[] for _ in self.before]
        for number, sources in enumerate(self.before):
            for source in sources:
                found[source].append(number)
        return found

    def reached(self, starts: Iterable[int], neighbours: Sequence[Sequence[int]]) -> set[int]:
        """Operators on paths from these, which end before or at a convolution that is not a start."""
        found, waiting = set(), list(starts)
        while waiting:
            for number in neighbours[waiting.pop()]:
                if number not in found:
                    found.add(number)
                    if number not in self.convolutions:
                        waiting.append(number)
        return found


def float_operators(flow: Flow) -> set[int]:
    """Which operators must stay in float.

    The last convolutions, and what follows: the decode. With the last in eight bits, neighbours of a peak tie with it
    (a ResNet-18 of BCCD's three classes lost 0.013 AP so, and nothing otherwise), and they take little time.

    Then those of deformable convolutions, the only ones that round positions down: the convolution that predicts
    positions, and what follows it up to the next convolution.

    And what is computed of inputs beside the image, whose numbers are nothing like its own.
    """
    after, convolutions = flow.after, flow.convolutions
    last = {number for number in convolutions if not flow.reached([number], after) & convolutions}
    moving = flow.reached(flow.floors, flow.before) & convolutions
    return (
        last
        | flow.reached(last, after)
        | moving
        | flow.reached(moving, after) - convolutions
        | flow.aside
        | flow.reached(flow.aside, after)
    )
