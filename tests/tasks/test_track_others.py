"""Trackers of another package, fed with the boxes of a detector that knows nothing of time."""

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from centernet_tf.detector.detector import Detector
from centernet_tf.detector.follow import follow
from centernet_tf.errors import UsageError
from centernet_tf.tasks.track.others import TRACKERS, with_tracker

ROOT = Path(__file__).parents[2]
if keras.backend.backend() != "tensorflow":
    pytest.skip("they run on the host, whatever the network runs on", allow_module_level=True)


def detector_of(spot_network, spot_card, name, **settings):
    detector = Detector(spot_network, spot_card)
    detector.tasks = with_tracker(detector.tasks, name, **settings)
    return detector


def test_without_the_package_its_extra_is_named(spot_network, spot_card, monkeypatch):
    monkeypatch.setitem(sys.modules, "trackers", None)
    with pytest.raises(UsageError, match=r"bytetrack: a package is missing .*pip install 'centernet_tf\[trackers\]'"):
        detector_of(spot_network, spot_card, "bytetrack")


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """The package in a folder of its own, without opencv-python, whose files would replace those of our OpenCV."""
    pytest.importorskip("supervision")
    folder = tmp_path_factory.mktemp("trackers")
    call = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    call += ["--constraint", str(ROOT / "constraints.txt"), "--target", str(folder), "trackers", "pydeprecate"]
    subprocess.run(call, check=True)
    sys.path.insert(0, str(folder))
    yield
    sys.path.remove(str(folder))


@pytest.mark.long
@pytest.mark.parametrize("name", TRACKERS)
def test_two_spots_that_cross_keep_their_identities(package, name, spot_network, spot_card, draw_spots):
    """One of each class: whoever matched boxes of both classes would change them where they meet."""
    frames = [draw_spots(128, 128, (24 + 4 * n, 60, 0), (104 - 4 * n, 64, 1)) for n in range(20)]
    told = list(follow(detector_of(spot_network, spot_card, name), frames, threshold=0.1))
    assert len(told) == len(frames)
    seen = {(int(kind), int(number)) for one in told for kind, number in zip(one.classes, one.fields["track_ids"])}
    assert sorted(seen) == [(0, 1), (1, 2)]
    assert sum(len(one) for one in told[5:]) > 20 and len(told[-1]) == 2
    lefts = [one.boxes[one.classes == kind][0, 0] for kind in (0, 1) for one in (told[5], told[-1])]
    np.testing.assert_allclose(np.diff(lefts)[[0, 2]], [56, -56], atol=4)


@pytest.mark.long
def test_settings(package, spot_network, spot_card, draw_spots):
    # Long gone, and back: remembered for 30 frames, or for 3.
    here, nothing = draw_spots(128, 128, (40, 60, 0)), np.zeros((128, 128, 3), np.uint8)
    frames = [here] * 6 + [nothing] * 8 + [here] * 6
    counts = {}
    for age in (30, 3):
        told = follow(detector_of(spot_network, spot_card, "bytetrack", max_age=age), frames, threshold=0.1)
        counts[age] = len({int(number) for one in told for number in one.fields["track_ids"]})
    assert counts == {30: 1, 3: 2}
    faint = [here // 2] * 6  # scores 0.88
    for birth, found in ((0.95, False), (0.5, True)):
        told = list(follow(detector_of(spot_network, spot_card, "bytetrack", birth=birth), faint, threshold=0.1))
        assert any(len(one) for one in told) == found
    with pytest.raises(UsageError, match="ocsort has not all of these settings: birth"):
        detector_of(spot_network, spot_card, "ocsort", birth=0.5)
