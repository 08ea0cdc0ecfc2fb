"""What can be wrong with interactions of records, and how many there are of each verb."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.table import Table

from centernet_tf.host.plain import plain
from centernet_tf.properties.metric import SINGLE, ImageKey
from centernet_tf.properties.notebook import AGAIN, Check, Notebook
from centernet_tf.properties.property import Rows, Size, Survey

RARE = 10  # pairs; HICO-DET calls what has fewer in its training set rare
CELLS = 128  # that the longer side of an image has on the output grid of an input of 512 pixels
LISTED = 40  # verbs of a table

CHECKS = {
    "bad_interactions": Check("error", "images whose pairs name an object or a verb that is not there", f"{AGAIN}."),
    "self_pair": Check("error", "pairs of an object with itself", "Correct or remove them; verbs may have no object."),
    "duplicate_pair": Check("warning", "pairs that stand there twice", f"They count twice in scores. {AGAIN}."),
    "vanished_pair": Check(
        "warning",
        f"pairs with a box that vanishes: without area, or thinner than one of {CELLS} cells along the image",
        "Nothing is found at such a box. Train at a larger size, or remove the pair.",
    ),
    "untrained_pair": Check(
        "note", "pairs with a crowd or an ignored object", "They are not trained; give the persons boxes of their own."
    ),
    "unallowed_pair": Check(
        "warning",
        "pairs that the table of allowed pairs forbids",
        "They are never found. Correct the table or the pair.",
    ),
    "no_interactions_at_all": Check(
        "warning", "sets without a single pair", f"Nothing can be learnt of interactions. {AGAIN}."
    ),
    "unused_verb": Check("warning", "verbs without a pair", "Check the spelling in the annotations, or drop them."),
    "rare_verb": Check("note", f"verbs of fewer than {RARE} pairs", "Scores of these say little; annotate more."),
}


class InteractionSurvey(Survey):
    """Adds up the pairs of one image at a time.

    Args:
        notebook: Takes what is found.
        verbs: Names of the verbs.
        allowed: Names of the classes that are allowed as objects of a verb; of verbs it lacks all are.
    """

    def __init__(self, notebook: Notebook, verbs: Sequence[str], allowed: dict[str, tuple[str, ...]]) -> None:
        self.notebook, self._verbs, self._allowed = notebook, tuple(verbs), allowed
        self._pairs = np.zeros(len(self._verbs), np.int64)  # of each verb
        self._alone = self._images = self._seen = self._most = 0
        self._partners: list[Counter[str]] = [Counter() for _ in self._verbs]

    def add(self, name: str, rows: Rows, size: Size, image: ImageKey = SINGLE) -> None:
        pairs, verbs = rows["pairs"], rows["verbs"]
        self._seen += 1
        self._images += bool(len(pairs))
        self._most = max(self._most, len(pairs))
        self._pairs += np.bincount(verbs, minlength=len(self._verbs))
        self._alone += int((pairs[:, 1] < 0).sum())
        listed = [(*pair, verb) for pair, verb in zip(pairs.tolist(), verbs.tolist())]
        for pair, how_often in Counter(listed).items():
            self.notebook.add("duplicate_pair", f"{name}: {self._told(*pair)}", how_often - 1)
        lost, untrained = _vanishing(rows, size), rows["crowd"] | rows["ignored"]
        for subject, partner, verb in dict.fromkeys(listed):
            where = f"{name}: {self._told(subject, partner, verb)}"
            both = [row for row in (subject, partner) if row >= 0]
            self.notebook.add("self_pair", where, subject == partner)
            self.notebook.add("vanished_pair", where, bool(lost[both].any()))
            self.notebook.add("untrained_pair", where, bool(untrained[both].any()))
            self._add_partner(where, verb, str(rows["names"][partner]) if partner >= 0 else None)

    def _add_partner(self, where: str, verb: int, partner: str | None) -> None:
        if partner is not None:
            self._partners[verb][partner] += 1
        allowed = self._allowed.get(self._verbs[verb])
        forbidden = allowed is not None and partner is not None and partner not in allowed
        self.notebook.add("unallowed_pair", f"{where} ({partner})", forbidden)

    def _told(self, subject: int, partner: int, verb: int) -> str:
        return f"object {subject} {self._verbs[verb]}" + (f" object {partner}" if partner >= 0 else "")

    def close(self) -> None:
        """Notes verbs without pairs, and with few; of a set without any pair, the set."""
        if not self._pairs.sum():
            self.notebook.add("no_interactions_at_all", f"{self._seen} images", bool(self._seen))
            return
        for name, count in zip(self._verbs, self._pairs.tolist()):
            self.notebook.add("unused_verb", name, not count)
            self.notebook.add("rare_verb", f"{name}: {count}", 0 < count < RARE)

    def facts(self) -> dict[str, str]:
        """How many pairs there are."""
        if not self._pairs.sum():
            return {}
        text = f"{self._pairs.sum()} pairs in {self._images} of {self._seen} images, at most {self._most} in one"
        return {"interactions": text + (f"; {self._alone} without an object" if self._alone else "")}

    def tables(self) -> list[Table]:
        """Verbs with their pairs and what they are done to most often, the most frequent first."""
        if not self._pairs.sum():
            return []
        table = Table(box=None, pad_edge=False)
        table.add_column("verb")
        table.add_column("pairs", justify="right")
        table.add_column("objects")
        order = np.argsort(-self._pairs, kind="stable").tolist()
        for number in order[:LISTED]:
            partners = ", ".join(f"{name} {count}" for name, count in self._partners[number].most_common(3))
            table.add_row(plain(self._verbs[number]), str(self._pairs[number]), plain(partners))
        if order[LISTED:]:
            table.add_row(f"{len(order) - LISTED} others", str(self._pairs[order[LISTED:]].sum()), "")
        return [table]

    def as_dict(self) -> dict[str, Any]:
        """ "pairs", "alone" (without an object), "images" with pairs, "most" of an image, and "verbs" {name: pairs}."""
        return {
            "pairs": int(self._pairs.sum()),
            "alone": self._alone,
            "images": self._images,
            "most": self._most,
            "verbs": dict(zip(self._verbs, self._pairs.tolist())),
        }


def _vanishing(rows: Rows, size: Size) -> np.ndarray:
    """[N] bool, boxes of which nothing is left on a usual output grid."""
    boxes = np.asarray(rows["boxes"], np.float64)
    sides = np.minimum(boxes[:, 2:], size) - np.maximum(boxes[:, :2], 0)
    return ~(sides.min(axis=1, initial=np.inf) >= max(size) / CELLS)
