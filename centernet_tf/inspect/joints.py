"""What can be wrong with joints, and how often each is labelled."""

from collections import Counter

import numpy as np

from centernet_tf.inspect.findings import Notebook
from centernet_tf.skeleton import Skeleton, guess_flip_pairs


def skeleton_difference(one: Skeleton | None, other: Skeleton | None) -> str:
    """What two skeletons do not share, such as "other limbs, sigmas"; "" where they are equal, or one is missing."""
    if one is None or other is None:
        return ""
    values, others = one.as_dict(), other.as_dict()
    keys = [key for key in values if values[key] != others[key]]
    return f"other {', '.join(keys)}" if keys else ""


class JointSurvey:
    """Adds up the joints of one image at a time.

    Attributes:
        counts: For each joint, by name: how often it is "visible" and "hidden", and of these "outside" the image.
    """

    def __init__(self, skeleton: Skeleton | None, notebook: Notebook) -> None:
        self.skeleton, self.notebook = skeleton, notebook
        self.counts = {name: Counter(visible=0, hidden=0, outside=0) for name in skeleton.joints} if skeleton else {}

    def add(self, name: str, joints: np.ndarray | None, count: int, width: int, height: int) -> np.ndarray:
        """Takes in the joints of an image.

        Args:
            name: Of the image.
            joints: [objects, J, 3] in 0..1 of the image and label, as stored; None where they cannot be told apart.
            count: Objects in the image.
            width: Of the image, pixels.
            height: Likewise.

        Returns:
            [count, J, 3] in pixels; those that cannot be used have label 0.
        """
        names = self.skeleton.joints if self.skeleton else ()
        empty = np.zeros((count, len(names), 3))
        if not names or (joints is not None and not joints.shape[1] and not count):
            return empty
        if joints is None or (joints.shape[1] and joints.shape[1] != len(names)):
            came = "lists of different length" if joints is None else f"{joints.shape[1]} joints an object"
            self.notebook.add("bad_joints", f"{name}: {came}, the skeleton has {len(names)}", max(count, 1))
            return empty
        if not joints.shape[1]:
            return empty
        labels = joints[..., 2]
        bad = ~np.isin(labels, (0, 1, 2)) | ((labels > 0) & ~np.isfinite(joints).all(axis=-1))
        if bad.any():
            row, joint = np.argwhere(bad)[0]
            text = f"{name}: {names[joint]} of object {row + 1} is {joints[row, joint].tolist()}"
            self.notebook.add("bad_joints", text, bad.any(axis=1).sum())
        used = (labels > 0) & ~bad
        pixels = np.where(used[..., None], joints, 0) * [width, height, 1]
        outside = used & ((pixels[..., :2] < 0) | (pixels[..., :2] > [width, height])).any(axis=-1)
        self.notebook.add("outside_joint", name, outside.sum())
        for index, joint in enumerate(names):
            self.counts[joint].update(
                visible=int((used & (labels == 2))[:, index].sum()),
                hidden=int((used & (labels == 1))[:, index].sum()),
                outside=int(outside[:, index].sum()),
            )
        return pixels

    def close(self) -> None:
        """Notes what only all images together show."""
        for name, counts in self.counts.items():
            self.notebook.add("unused_joint", name, not counts["visible"] + counts["hidden"])
        if self.skeleton:
            paired = {frozenset(pair) for pair in self.skeleton.flip_pairs}
            for one, other in guess_flip_pairs(self.skeleton.joints):
                text = f"{self.skeleton.joints[one]} and {self.skeleton.joints[other]}"
                self.notebook.add("no_pair", text, frozenset((one, other)) not in paired)
