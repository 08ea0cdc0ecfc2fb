"""What the doctor can find: how grave it is, what it means, how to mend it; and the notebook it writes into."""

from dataclasses import dataclass, field
from typing import Literal

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
EXAMPLES = 5  # examples kept of each finding


@dataclass(frozen=True)
class Check:
    """One thing that can be wrong.

    Attributes:
        severity: "error": training on it fails or learns something false. "warning": objects or quality are lost.
            "note": worth knowing.
        what: What was found, in a few words.
        fix: One line on what to do.
    """

    severity: Severity
    what: str
    fix: str


AGAIN = "Write the records again with `centernet records`"

CHECKS = {
    "truncated_shard": Check("error", "shards that break off or are damaged", f"{AGAIN}; the disk may have been full."),
    "checksum": Check("error", "shards that changed after they were written", f"{AGAIN}, or copy them again."),
    "missing_images": Check("error", "images that dataset.yaml promises and the shards lack", f"{AGAIN}."),
    "bad_example": Check("error", "records that are no annotated image", f"{AGAIN}."),
    "corrupt_image": Check("error", "images that cannot be decoded", "Replace or remove the files and write again."),
    "wrong_size": Check("error", "images of another size than recorded", f"{AGAIN}; boxes are off until then."),
    "unfinite_box": Check("error", "boxes with NaN or infinity", "Correct the annotations and write again."),
    "empty_box": Check("error", "boxes without width or height", "Correct the annotations or write with --skip-bad."),
    "outside_box": Check(
        "error", "boxes wholly outside their image", "Check that image and annotation belong together."
    ),
    "unknown_label": Check("error", "objects whose label no class has", "Give all class names when writing."),
    "duplicate_id": Check(
        "error", "images with the id of another one", "Give each image its own id; metrics merge them."
    ),
    "bad_joints": Check(
        "error",
        "objects whose joints do not fit the skeleton or are no numbers",
        "Correct annotations or skeleton.",
    ),
    "bad_camera": Check("error", "images without a usable camera", f"Correct the calibration. {AGAIN}."),
    "bad_solid": Check(
        "error",
        "boxes in space without extent, behind the camera, or no numbers",
        "Correct the annotations and write again.",
    ),
    "edge_box": Check("warning", "boxes over the edge of their image", "Writing with `centernet records` clips them."),
    "turned_image": Check(
        "warning", "images with an EXIF rotation, which decoding ignores", f"{AGAIN}; it turns image and boxes."
    ),
    "odd_image": Check("warning", "images that are not 8-bit grey or RGB", f"{AGAIN}; decoders disagree on them."),
    "twin_box": Check("warning", "boxes almost equal to another of their class", "Remove annotations made twice."),
    "twin_image": Check("warning", "images whose bytes occur twice", "Remove one of the two."),
    "shared_image": Check(
        "error", "images that are also in another of these sets", "Take them out of one; scores are too good otherwise."
    ),
    "other_classes": Check("error", "sets whose class list differs", f"{AGAIN}, with one list of classes for all."),
    "other_skeleton": Check("error", "sets whose skeleton differs", f"{AGAIN}, with one --skeleton FILE for all."),
    "unused_class": Check(
        "warning", "classes without an object", "Check the spelling in the annotations, or drop them."
    ),
    "unused_joint": Check("warning", "joints that no object has labelled", "Drop them; none is learnt."),
    "no_pair": Check(
        "warning",
        "joints named left and right that no flip pair joins",
        "Add them to the skeleton's flip_pairs.",
    ),
    "solid_off": Check(
        "warning",
        "boxes in space that the camera sees elsewhere than their boxes in the image",
        "Check that calibration and annotations belong to these images.",
    ),
    "alpha_off": Check(
        "warning",
        "directions that rotation_y and the place of the object contradict",
        "alpha is rotation_y - atan2(x, z). Correct the annotations and write again.",
    ),
    "too_many": Check("warning", "objects beyond the most that an image may have", "Raise max_objects."),
    "lost_peak": Check(
        "warning", "objects in the output cell of another of their class", "Train at a larger size; only one is found."
    ),
    "shared_cell": Check(
        "note", "objects in the output cell of another of any class", "A larger size, or class-specific sizes, help."
    ),
    "cut_box": Check("warning", "objects beyond the output grid", "Choose a size of the images' shape."),
    "tiny_box": Check("warning", "objects narrower than an output cell", "Train at a larger size, or cut into tiles."),
    "outside_joint": Check("note", "joints outside their image", "Kept, as in COCO; they count in OKS."),
    "no_objects": Check("note", "images without objects", "Fine as background; check that none is missing."),
}


@dataclass
class Finding:
    """Something found, once or many times.

    Attributes:
        code: Its name in `CHECKS`.
        severity: As the check says.
        what: As the check says.
        count: How often, in the unit of `what`.
        examples: Where, for the first few.
        fix: As the check says.
    """

    code: str
    severity: Severity
    what: str
    count: int
    examples: list[str]
    fix: str


@dataclass
class Notebook:
    """Collects findings while the records pass by."""

    _found: dict[str, Finding] = field(default_factory=dict)

    def add(self, code: str, example: str, count: int = 1) -> None:
        """Notes `count` cases of a check; 0 notes nothing."""
        if not count:
            return
        if code not in self._found:
            check = CHECKS[code]
            self._found[code] = Finding(code, check.severity, check.what, 0, [], check.fix)
        finding = self._found[code]
        finding.count += int(count)
        if len(finding.examples) < EXAMPLES:
            finding.examples.append(example)

    def findings(self) -> list[Finding]:
        """All findings, the gravest first, within that in the order of `CHECKS`."""
        order = list(CHECKS)
        return sorted(self._found.values(), key=lambda one: (SEVERITIES.index(one.severity), order.index(one.code)))
