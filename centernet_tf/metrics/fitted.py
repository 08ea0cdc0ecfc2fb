"""Thresholds of the classes that suit images best: where the F1 of precision and recall is highest."""

import dataclasses
from typing import Any

import numpy as np
from rich.table import Table

from centernet_tf.host.plain import plain
from centernet_tf.metrics.matched import Matched
from centernet_tf.metrics.tables import number, percent


@dataclasses.dataclass(frozen=True)
class Fitted:
    """Thresholds and what they give on the images that they were fitted on; [C], NaN for classes never found.

    Attributes:
        names: Of the classes.
        thresholds: Detections that score above are kept.
        f1: 2 precision recall / (precision + recall).
        precision: Objects among the detections that are kept.
        recall: Detections that are kept among the objects.
    """

    names: tuple[str, ...]
    thresholds: np.ndarray
    f1: np.ndarray
    precision: np.ndarray
    recall: np.ndarray

    def filled(self, usual: float) -> tuple[float, ...]:
        """The thresholds, `usual` for classes that none could be fitted to."""
        return tuple(np.where(np.isnan(self.thresholds), usual, self.thresholds).tolist())

    def table(self) -> Table:
        """For people; "-" for classes without a threshold of their own."""
        table = Table("class", title="Thresholds of highest F1")
        for name in ("threshold", "F1", "precision", "recall"):
            table.add_column(name, justify="right")
        for row, name in enumerate(self.names):
            limit = self.thresholds[row]
            told = [percent(values[row]) for values in (self.f1, self.precision, self.recall)]
            table.add_row(plain(name), "-" if np.isnan(limit) else f"{limit:.3f}", *told)
        return table

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON, under "thresholds": {class: {threshold, F1, precision, recall}}."""
        columns = {"threshold": self.thresholds, "F1": self.f1, "precision": self.precision, "recall": self.recall}
        return {
            "thresholds": {
                name: {column: number(values[row]) for column, values in columns.items()}
                for row, name in enumerate(self.names)
            }
        }


def fit_thresholds(matched: Matched) -> Fitted:
    """The threshold of each class with the highest F1 on these images; of equal ones the highest.

    It lies halfway between the lowest score that is kept and the next below, or 0 where there is none.

    Args:
        matched: What was found, however low its score. Detections on crowds do not count.
    """
    rows = [_fit(matched, label, count) for label, count in enumerate(matched.objects)]
    return Fitted(matched.names, *np.array(rows, float).reshape(-1, 4).T)


def _fit(matched: Matched, label: int, count: int) -> tuple[float, float, float, float]:
    """Threshold, F1, precision and recall of one class with so many objects."""
    own = matched.counted & (matched.classes == label)
    scores, hits = matched.scores[own], matched.hits[own]
    if not count or not hits.any():
        return (np.nan,) * 4
    order = np.argsort(-scores, kind="stable")
    scores, found = scores[order], np.cumsum(hits[order])
    kept = np.arange(1, len(scores) + 1)
    f1 = 2 * found / (kept + count)
    # Equal scores are kept together.
    last = np.append(scores[:-1] > scores[1:], True)
    best = int(np.where(last, f1, -1.0).argmax())
    below = float(scores[best + 1]) if best + 1 < len(scores) else 0.0
    return (float(scores[best]) + below) / 2, f1[best], found[best] / kept[best], found[best] / count
