"""The benchmark of KITTI's metric scores what it says."""

import numpy as np

from centernet_tf.benchmark import kitti
from centernet_tf.properties.boxes3d.kitti import KittiBoxes3d


def test_frames_have_hits_and_misses(monkeypatch):
    monkeypatch.setattr(kitti, "FRAMES", 30)
    kept = []
    monkeypatch.setattr(kitti, "KittiBoxes3d", lambda names: kept.append(KittiBoxes3d(names)) or kept[0])
    assert min(kitti.seconds(20)) > 0
    scores = kept[0].result()
    assert scores.images == 30 and scores.detections == 600
    assert 0.05 < np.nanmean(scores.ap()) < 0.95
