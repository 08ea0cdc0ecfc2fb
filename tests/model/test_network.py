import keras
import numpy as np
import pytest
from keras import ops

from centernet_tf.errors import UsageError
from centernet_tf.losses import gather_cells
from centernet_tf.model.network import build_network
from centernet_tf.points.task import Head, Input

HEATMAP = Head("heatmap", 2, heatmap=True)
CLIP = {"image": Input(frames=(-1, 0, 1))}


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def run(network, inputs):
    return keras.tree.map_structure(ops.convert_to_numpy, network(inputs, training=False))


def set_noise(network, seed=0):
    """Weights far from where training starts, so that every channel and bias counts."""
    for number, weight in enumerate(network.weights):
        value = noise(*weight.shape, seed=[seed, number])
        weight.assign(abs(value) if "variance" in weight.path else 0.3 * value)


@pytest.fixture(params=[None, 0], ids=["hidden", "trunk"])
def both_forms(request):
    """The same network with a map and without, at random weights."""
    heads = [(HEATMAP, Head("shape", 5, at_centers=way)) for way in (False, True)]
    networks = [build_network("tiny", both, head_channels=request.param) for both in heads]
    for network in networks:
        set_noise(network)
    return networks


def test_a_head_at_centers_has_the_numbers_and_weights_of_its_map(both_forms):
    dense, sparse = both_forms
    assert [(weight.path, weight.shape) for weight in dense.weights] == [
        (weight.path, weight.shape) for weight in sparse.weights
    ]
    images, index = noise(2, 32, 64, 3), np.random.default_rng(1).integers(0, 8 * 16, (2, 7)).astype(np.int32)
    (values,), (parts,) = run(dense, images)["shape"], run(sparse, images)["shape"]
    assert values.shape == (2, 8, 16, 5)
    assert parts["features"].shape == (2, 8, 16, parts["kernel"].shape[0])
    assert (parts["kernel"].shape[1:], parts["bias"].shape) == ((5,), (5,))
    expected, found = (ops.convert_to_numpy(gather_cells(given, index)) for given in (values, parts))
    assert abs(expected).max() > 0.1
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_clip_passes_one_trunk_frame_by_frame():
    heads = [HEATMAP, Head("size", 2, per_frame=True)]
    clips, images = build_network("tiny", heads, CLIP), build_network("tiny", heads)
    set_noise(clips)
    alone = [weight for weight in clips.weights if not weight.path.startswith("heatmap")]
    for weight in images.weights:
        for other in alone:
            if other.path == weight.path:
                weight.assign(other)
    clip = noise(2, 3, 32, 64, 3)
    found = run(clips, clip)
    assert (found["heatmap"][0].shape, found["size"][0].shape) == ((2, 8, 16, 2), (2, 8, 16, 6))
    for frame in range(3):
        expected = run(images, clip[:, frame])["size"][0]
        np.testing.assert_allclose(found["size"][0][..., 2 * frame : 2 * frame + 2], expected, atol=1e-5)


@pytest.mark.parametrize("frame", range(3))
def test_other_heads_read_all_frames_in_their_order(frame):
    network = build_network("tiny", [HEATMAP], CLIP)
    set_noise(network)
    kernel = next(weight for weight in network.weights if weight.path == "heatmap_stack1_conv/kernel")
    assert kernel.shape[2] == 3 * 16
    value = ops.convert_to_numpy(kernel).copy()
    value[:, :, 16 * frame : 16 * (frame + 1)] = 0
    kernel.assign(value)
    clip = noise(1, 3, 32, 64, 3)
    before = run(network, clip)["heatmap"][0]
    for other in range(3):
        changed = clip.copy()
        changed[:, other] += 1
        assert np.array_equal(run(network, changed)["heatmap"][0], before) == (other == frame)


@pytest.mark.parametrize("inputs", [CLIP, None], ids=["clip", "image"])
def test_frames_are_reduced_before_they_are_joined(inputs):
    """Without its bias, the reducing convolution is a part of the one behind it."""
    size = Head("size", 2, per_frame=True)
    narrow, wide = (build_network("tiny", [Head("heatmap", 2, reduced=count), size], inputs) for count in (4, 0))
    set_noise(narrow)
    narrow.get_layer("reduced_stack1").bias.assign(np.zeros(4))
    known = {weight.path: ops.convert_to_numpy(weight) for weight in narrow.weights}
    hidden, reduced = known.pop("heatmap_stack1_conv/kernel"), known["reduced_stack1/kernel"][0, 0]
    frames = 3 if inputs else 1
    assert (hidden.shape[2], reduced.shape) == (4 * frames, (16, 4))
    apart = hidden.reshape(3, 3, frames, 4, -1)
    known["heatmap_stack1_conv/kernel"] = np.einsum("cr,yxtrd->yxtcd", reduced, apart).reshape(3, 3, 16 * frames, -1)
    for weight in wide.weights:
        weight.assign(known[weight.path])
    images = noise(2, *([3] if inputs else []), 32, 64, 3)
    expected, found = run(wide, images), run(narrow, images)
    for name in ("heatmap", "size"):
        np.testing.assert_allclose(found[name][0], expected[name][0], atol=1e-4 * abs(expected[name][0]).max())


def test_heads_that_reduce_differently_are_refused():
    with pytest.raises(ValueError, match=r"reduce them to different channels: \{'heatmap': 0, 'way': 4\}"):
        build_network("tiny", [HEATMAP, Head("way", 6, reduced=4), Head("size", 2, per_frame=True)], CLIP)


def test_a_head_per_frame_of_single_images_is_like_any_other():
    networks = [build_network("tiny", [Head("size", 2, per_frame=way)]) for way in (False, True)]
    for network in networks:
        set_noise(network)
    expected, found = (run(network, noise(1, 32, 32, 3))["size"][0] for network in networks)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("heads", "inputs"),
    [
        ([HEATMAP, Head("shape", 5, at_centers=True)], None),
        ([HEATMAP, Head("size", 2, per_frame=True), Head("shape", 5, at_centers=True)], CLIP),
        ([HEATMAP], {"image": Input(), "prior": Input(channels=1)}),
    ],
    ids=["at_centers", "clip", "two inputs"],
)
def test_a_saved_network_answers_as_before(heads, inputs, tmp_path):
    network = build_network("tiny", heads, inputs)
    set_noise(network)
    network.save(tmp_path / "network.keras")
    again = keras.models.load_model(tmp_path / "network.keras")
    given = [noise(1, *(side or 32 for side in tensor.shape[1:])) for tensor in network.inputs]
    given = given[0] if len(given) == 1 else dict(zip([tensor.name for tensor in network.inputs], given))
    keras.tree.map_structure(np.testing.assert_array_equal, run(again, given), run(network, given))


def test_heads_have_widths_of_their_own():
    heads = [HEATMAP, Head("size", 2)]
    network = build_network("tiny", heads, head_channels={"size": 5})
    assert network.get_layer("size_stack1_conv").filters == 5 and network.get_layer("heatmap_stack1_conv").filters == 8
    with pytest.raises(UsageError, match=r"no head 'sise'. Did you mean 'size'\?"):
        build_network("tiny", heads, head_channels={"sise": 5})


def test_inputs_of_different_lengths_are_refused():
    inputs = {"image": Input(frames=(-1, 0, 1)), "flow": Input(channels=2)}
    with pytest.raises(ValueError, match=r"different numbers of frames: image 3, flow 1\."):
        build_network("tiny", [HEATMAP], inputs)


def test_a_head_per_frame_and_at_centers_is_refused():
    with pytest.raises(ValueError, match="Head 'shape' is per frame and at centers"):
        build_network("tiny", [HEATMAP, Head("shape", 5, per_frame=True, at_centers=True)], CLIP)
