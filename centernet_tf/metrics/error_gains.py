"""The AP that each kind of error costs, so that all kinds together cost exactly the AP that is missing.

TIDE mends one kind at a time and notes that these gains do not add up, for a detection that is mended changes what the
others cost. Both are told here: the gain of each kind alone, as TIDE has it, and the gain in a fixed order, that of
`error_kinds.KINDS`, each kind mended on top of those before it. When the last is mended, AP is 1, so the latter gains
add up to 1 - AP.

Mending means: of a wrong box or class, the detection becomes a hit of the object that it claims, at its score; doubles
and background are taken away; missed objects are found behind everything else. (TIDE leaves missed objects out of the
count instead, which would leave classes of which nothing is found without an AP.)
"""

import dataclasses
from collections.abc import Collection

import numpy as np

from centernet_tf.metrics.boxes import mean_where_known
from centernet_tf.metrics.error_kinds import CLAIMING, KINDS, Judged
from centernet_tf.metrics.matched import average_precision


@dataclasses.dataclass(frozen=True)
class Gains:
    """AP at one IoU, and what mending adds; [C] arrays are of classes, NaN for those without objects.

    Attributes:
        ap: [C] of the detections as they are.
        alone: {kind: [C]} gained where this kind alone is mended.
        ordered: {kind: [C]} gained where it is mended on top of the kinds before it; their sum is 1 - ap.
    """

    ap: np.ndarray
    alone: dict[str, np.ndarray]
    ordered: dict[str, np.ndarray]

    @property
    def missing(self) -> float:
        """1 - AP, which the means of `ordered` add up to."""
        return 1.0 - mean_where_known(self.ap)


def gains(judged: Judged) -> Gains:
    """What mending each kind of error adds to the AP at the IoU that was judged at."""
    ap = mended_ap(judged, ())
    steps = [ap, *(mended_ap(judged, tuple(KINDS)[: count + 1]) for count in range(len(KINDS)))]
    return Gains(
        ap=ap,
        alone={kind: mended_ap(judged, (kind,)) - ap for kind in KINDS},
        ordered={kind: after - before for kind, before, after in zip(KINDS, steps, steps[1:])},
    )


def mended_ap(judged: Judged, kinds: Collection[str]) -> np.ndarray:
    """[C] AP of each class with these kinds of errors mended; NaN for classes without objects."""
    matched = judged.matched
    mended = np.isin(judged.kinds, [kind for kind in kinds if kind in CLAIMING])
    kept = matched.counted & (mended | ~np.isin(judged.kinds, list(kinds)))
    classes = np.where(mended, matched.truth_classes[judged.claims] if len(judged.fates) else -1, matched.classes)
    hits = matched.hits | mended
    missed = matched.truth_classes[(judged.fates == "missed") & ("missed" in kinds)]
    scores = np.append(matched.scores[kept], np.full(len(missed), -np.inf))
    classes, hits = np.append(classes[kept], missed), np.append(hits[kept], np.ones(len(missed), bool))
    return np.array(
        [
            average_precision(hits[classes == label], scores[classes == label], count)
            for label, count in enumerate(matched.objects)
        ]
    )
