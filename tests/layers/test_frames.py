import numpy as np
from keras import ops

from centernet_tf.layers.frames import FoldFrames, UnfoldFrames


def noise(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def test_frames_of_a_clip_follow_each_other():
    clips = noise(2, 3, 4, 5, 6)
    folded = ops.convert_to_numpy(FoldFrames()(clips))
    assert folded.shape == (6, 4, 5, 6)
    np.testing.assert_array_equal(folded[4], clips[1, 1])
    assert FoldFrames().compute_output_shape((None, 3, None, None, 6)) == (None, None, None, 6)


def test_channels_of_frames_stand_side_by_side():
    clips = noise(2, 3, 4, 5, 6)
    layer = UnfoldFrames(3)
    found = ops.convert_to_numpy(layer(clips.reshape(6, 4, 5, 6)))
    np.testing.assert_array_equal(found, np.concatenate([clips[:, frame] for frame in range(3)], axis=-1))
    assert layer.compute_output_shape((None, None, None, 6)) == (None, None, None, 18)
    assert UnfoldFrames.from_config(layer.get_config()).frames == 3
