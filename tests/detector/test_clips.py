"""Clips in a graph: whole ones, videos and frames with a state all find what the network finds in whole clips."""

import numpy as np
import pytest
from keras import ops

from centernet_tf.detector import clips, frames
from centernet_tf.detector.clips import Clips, Held, held_by, pictures_of, seen_by, shown_to, taken_apart
from centernet_tf.detector.graph import DetectorGraph
from centernet_tf.errors import UsageError
from centernet_tf.model.card import InputCard, ModelCard
from centernet_tf.model.network import build_network

pytestmark = pytest.mark.usefixtures("eagerly")

SIZE = (20, 40)


def parts_of(count, flow=0, reduce=None, **form):
    """A graph around a network of noise, its `Clips` and what sees all frames together."""
    whole = InputCard(**{"height": 32, "width": 48, "stride": 4, **form})
    task = {"action": {"frames": count, "flow": flow, "reduce": reduce}}
    card = ModelCard(tasks=task, backbone="tiny", classes=("sit", "walk"), max_objects=6, input=whole, head_channels=8)
    tasks = card.task_set()
    network = build_network("tiny", tasks.heads, tasks.inputs, 8)
    random = np.random.default_rng(count)
    for weight in network.trainable_weights:
        weight.assign(random.normal(0, 0.3, weight.shape))
    graph = DetectorGraph(network, tasks, card.input)
    each, together = taken_apart(network, tasks)
    return graph, Clips(seen_by(tasks), card.input.normalization, each), together


def video_of(count):
    return np.random.default_rng(count).integers(0, 256, (count, *SIZE, 3)).astype(np.uint8)


def sizes_of(count):
    return np.array([SIZE] * count, np.int32)


def expected_of(graph, video):
    """What the whole network finds in the clip around each frame, clip by clip."""
    found = []
    for present, seen in frames.windows(video, graph.tasks.inputs):
        given = {name: clip[None] for name, clip in seen.items()}
        found.append(graph({"images": present[None], "sizes": sizes_of(1), **given}))
    return {name: np.concatenate([ops.convert_to_numpy(one[name]) for one in found]) for name in found[0]}


def check_alike(found, expected):
    for name in ("scores", "boxes", "tubelets"):
        np.testing.assert_allclose(ops.convert_to_numpy(found[name]), expected[name], atol=1e-2, err_msg=name)
    np.testing.assert_allclose(ops.convert_to_numpy(found["scores"]), expected["scores"], atol=1e-5)


def long(*values):
    return pytest.param(*values, marks=pytest.mark.long)


@pytest.mark.parametrize(
    ("count", "flow", "length"), [(3, 0, 1), (3, 2, 4), long(3, 0, 6), long(4, 0, 6), long(3, 2, 1), (1, 2, 6)]
)
def test_a_whole_video(count, flow, length):
    graph, parts, together = parts_of(count, flow)
    video = video_of(length)
    fitted, fit = graph.fit_images(video, sizes_of(length))
    found = clips.search(graph, together, parts.of_video(fitted), fit, sizes_of(length), {})
    check_alike(found, expected_of(graph, video))


@pytest.mark.parametrize(("count", "flow"), [(3, 2), long(3, 0), (1, 2)])
def test_whole_clips(count, flow):
    graph, parts, together = parts_of(count, flow)
    shown = np.stack([video_of(len(parts.pictures)), video_of(len(parts.pictures) + 1)[1:]])
    whole = [graph({**shown_to(graph.tasks, one), "sizes": sizes_of(1)}) for one in shown]
    expected = {name: np.concatenate([ops.convert_to_numpy(one[name]) for one in whole]) for name in whole[0]}
    fitted, fit = graph.fit_images(shown.reshape(-1, *SIZE, 3), sizes_of(2 * len(parts.pictures)))
    present = fit[parts.present :: len(parts.pictures)]
    check_alike(clips.search(graph, together, parts.of_clips(fitted), present, sizes_of(2), {}), expected)


@pytest.mark.parametrize(("count", "reduce"), [(3, 5), long(3, None), long(2, None), long(4, None)])
def test_frame_by_frame(count, reduce):
    graph, parts, together = parts_of(count, reduce=reduce)
    held = held_by(graph.network, graph.tasks, graph.card, sized=True)
    assert held.shapes()["features"][0] == (1, 8, 12, (count - 1) * (reduce or 16))
    video, found = video_of(4), []
    state = {name: np.zeros(shape, dtype) for name, (shape, dtype) in held.shapes().items()}
    for number, frame in enumerate([*video, *[video[-1]] * held.behind]):
        fitted, fit = graph.fit_images(frame[None], sizes_of(1))
        seen, after = held.join(parts.of_frame(fitted), state, sizes_of(1))
        one = clips.search(graph, together, seen, fit, sizes_of(1), {})
        one["scores"] = held.told(one["scores"], state)
        assert (ops.convert_to_numpy(one["scores"]).max() > 0) == (number >= held.behind)
        assert {name: (values.shape, values.dtype.name) for name, values in state.items()} == held.shapes()
        state = {name: ops.convert_to_numpy(values) for name, values in after.items()}
        found += [one] if number >= held.behind else []
    assert int(state["frames"][0]) == len(video) + held.behind and state["frame_size"].tolist() == [list(SIZE)]
    joined = {name: np.concatenate([ops.convert_to_numpy(one[name]) for one in found]) for name in found[0]}
    check_alike(joined, expected_of(graph, video))


def test_what_cannot_come_frame_by_frame():
    for count, flow, form in ((3, 2, {}), (1, 2, {}), (3, 0, {"mode": "keep"})):
        graph, _, _ = parts_of(count, flow, **form)
        assert held_by(graph.network, graph.tasks, graph.card) is None
    graph, _, _ = parts_of(3)
    assert Held.holds(seen_by(graph.tasks), graph.card)
    with pytest.raises(UsageError, match="no trunk of its own"):
        taken_apart(taken_apart(graph.network, graph.tasks)[1], graph.tasks)


def test_who_sees_clips():
    def wanted(**tasks):
        form = InputCard(height=32, width=32, stride=4)
        return seen_by(ModelCard(tasks=tasks, backbone="tiny", classes=("a",), max_objects=3, input=form).task_set())

    assert wanted(detect={}) is None and wanted(track={}) is None and wanted(action={"frames": 1}) is None
    assert pictures_of(wanted(action={"frames": 3})) == (-1, 0, 1)
    assert pictures_of(wanted(action={"frames": 2, "flow": 3})) == (-1, 0, 1, 2)
