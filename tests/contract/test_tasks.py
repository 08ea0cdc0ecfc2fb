"""What holds for every task in the table, so that a new one is tested before its author writes a test."""

import keras
import numpy as np
import pytest
from keras import ops

from centernet_tf import losses
from centernet_tf.geometry.camera import DEFAULT_CAMERA
from centernet_tf.model.card import InputCard, ModelCard
from centernet_tf.model.file import load_model, save_model
from centernet_tf.model.network import build_network
from centernet_tf.points import overlap
from centernet_tf.points.centers import STRIDE, Centers
from centernet_tf.points.oracle import ideal_maps, terms_of
from centernet_tf.preprocess import Normalization
from centernet_tf.properties.keypoints.skeleton import Skeleton
from centernet_tf.tasks import TASKS, build_tasks
from centernet_tf.tasks.action.targets import frames_l1
from centernet_tf.tasks.box3d import losses as box3d_losses
from centernet_tf.tasks.mask import losses as mask_losses
from centernet_tf.tasks.reid.losses import Classifier
from centernet_tf.training.trainer import Trainer

FACE = Skeleton(keypoints=("nose", "left_eye", "right_eye"), flip_pairs=((1, 2),))
# Settings of tasks that cannot do without; others begin with their defaults.
NEEDED = {"pose": {"skeleton": FACE}, "reid": {"identities": (3, 3, 3), "embedding": 9}}
NEEDED["hoi"] = {"verbs": ("a", "b", "c")}
# A mix of tasks is one more row.
SETS = [*((name,) for name in TASKS), ("detect", "pose"), ("detect", "box3d"), ("detect", "reid")]
SETS += [("mask", "pose"), ("mask", "track"), ("mask", "reid"), ("hoi", "pose"), ("hoi", "mask")]
ONE_SIZE = ("action",)  # tasks that have sizes of their own and refuse others
SIZED = [names for names in SETS if not {*names} & {*ONE_SIZE}]
# Whole boxes, over the area of wide Gaussians, with a score of how well they fit.
BOXES = {"box": "giou", "ltrb": True, "area": 0.54, "ellipse": 0.54, "iou_aware": 0.5}
# Mixes of tasks that stand for the others in the short tests: boxes beside points, and two that share no head.
MIXES = (("detect", "pose"), ("hoi", "mask"))
# (tasks, settings of the points, settings of tasks) that change what is encoded or decoded.
OPTIONS = [
    *((names, {"class_specific_size": True}, {}) for names in SIZED),
    *((names, {"ltrb": True}, {}) for names in SIZED if len(names) == 1),
    *((names, BOXES, {}) for names in SIZED if len(names) == 1 or names in MIXES),
    (("detect",), {"area": 0.54, "ltrb": True}, {}),
    (("detect",), {"box": "ciou", "iou_aware": 0.5}, {}),
    *((names, {"ignore_crowd": True}, {}) for names in SETS if len(names) == 1),
    (("box3d",), {}, {"box3d": {"amodal_offset": True}}),
    (("box3d",), {}, {"box3d": {"size": False}}),
    (("mask",), {}, {"mask": {"saliency": "agnostic"}}),
    *((("action",), {}, {"action": {"frames": frames}}) for frames in (1, 4)),
]
# Whose targets no map of the grid meets exactly.
INEXACT = [(("mask",), {}, {"mask": {"direct": True}}), (("mask",), {}, {"mask": {"head": "dynamic"}})]
INEXACT += [(("hoi",), {}, {"hoi": {"head": "vector"}})]  # Its Gaussians are wide, and believing them costs a little.
CASES = [*((names, {}, {}) for names in SETS), *OPTIONS, *INEXACT]
TRAINED = [*((names, {}, {}) for names in SETS), *INEXACT]
SMALLEST = "tiny"
SIZE = (64, 96)
GRID = (SIZE[0] // STRIDE, SIZE[1] // STRIDE)
CLASSES = 3
# For two steps, TensorFlow compiles longer than it runs; JAX runs for ages where it does not compile.
FASTEST = {"run_eagerly": True} if keras.backend.backend() == "tensorflow" else {"jit_compile": True}


def title(case):
    return "-".join(["+".join(case[0]), *map(str, case[1:])])


def short(cases):
    """The cases, those of the other mixes for the long tests."""
    return [
        pytest.param(case, marks=() if len(case[0]) == 1 or (case[0] in MIXES and not case[1]) else pytest.mark.long)
        for case in cases
    ]


# Whose steps have other losses, besides.
STEPPED = [*TRAINED, *((names, {**BOXES, "ignore_high": 0.85}, {}) for names in (("detect",), ("track",), ("box3d",)))]
every_stepped = pytest.mark.parametrize("case", short(STEPPED), ids=title)
every_trained = pytest.mark.parametrize("case", short(TRAINED), ids=title)
every_case = pytest.mark.parametrize("case", short(CASES), ids=title)


def settings_of(names, more=None):
    return {name: {**NEEDED.get(name, {}), **(more or {}).get(name, {})} for name in names}


def task_set(names, options=None, more=None):
    tasks = {name: TASKS[name](**settings) for name, settings in settings_of(names, more).items()}
    return build_tasks(tasks, Centers(CLASSES, max_objects=5, **(options or {})))


def shape_of(wanted, *sides):
    """Of one image or clip of an input, channels last."""
    return (*((len(wanted.frames),) if len(wanted.frames) > 1 else ()), *sides, wanted.channels)


def channels_of(tasks):
    """{head: channels of its map}."""
    frames = len(tasks.inputs["image"].frames)
    return {head.name: head.channels * (frames if head.per_frame else 1) for head in tasks.heads}


def perfect_heatmap(target, channels):
    del channels
    heatmap = np.clip(ops.convert_to_numpy(target["heatmap"]), 1e-6, 1 - 1e-6)
    return np.log(heatmap / (1 - heatmap))


def perfect_values(target, channels):
    """The wanted values at the wanted cells, and numbers that nobody asked for elsewhere."""
    if "index" not in target:
        return perfect_boxes(target, channels, ops.convert_to_numpy(target["value"]))
    index, value, mask = (ops.convert_to_numpy(target[name]) for name in ("index", "value", "mask"))
    filled = np.full((len(index), GRID[0] * GRID[1], channels), 7.0)
    for image, row in np.argwhere(mask.any(axis=-1)):
        wanted = np.broadcast_to(mask[image, row], channels) > 0
        filled[image, index[image, row], wanted] = value[image, row, wanted]
    return filled.reshape(len(index), *GRID, channels)


def perfect_shifts(target, channels):
    """Ways from cells to the centres of boxes."""
    return perfect_boxes(target, channels, ops.convert_to_numpy(target["shift"]))


def perfect_edges(target, channels):
    """Boxes around these, as edges or as width and height."""
    edges = ops.convert_to_numpy(target["edges"])
    return perfect_boxes(target, channels, edges if channels == 4 else edges[..., :2] + edges[..., 2:])


def perfect_overlap(target, channels):
    """Sure that every box fits."""
    return np.full((len(ops.convert_to_numpy(target["mask"])), *GRID, channels), 20.0)


def perfect_boxes(target, channels, value):
    if "index" in target:
        return perfect_values({**target, "value": value}, channels)
    filled = np.where(ops.convert_to_numpy(target["mask"]) > 0, value, 7.0)
    return filled.reshape(len(filled), *GRID, channels)


def perfect_sizes(target, channels):
    """The sizes of each frame at cells of its own."""
    index, value, mask = (ops.convert_to_numpy(target[name]) for name in ("index", "value", "mask"))
    filled = np.full((len(index), GRID[0] * GRID[1] * channels // 2, 2), 7.0)
    for image, row in np.argwhere(mask[..., 0] > 0):
        filled[image, index[image, row]] = value[image, row]
    return filled.reshape(len(index), *GRID, channels)


def perfect_depth(target, channels):
    metres = perfect_values(target, channels)
    share = 1 / (metres + 1) - 1e-6
    return np.log(share / (1 - share))


def perfect_rotation(target, channels):
    """Surely in or out of each bin, and the angle in both."""
    bins, residuals = (ops.convert_to_numpy(target[name]) for name in ("bins", "residuals"))
    sure = 20 * (2 * bins - 1)
    parts = np.stack([-sure, sure, np.sin(residuals), np.cos(residuals)], axis=-1)  # [B, N, 2, 4]
    return perfect_values({**target, "value": ops.convert_to_tensor(parts.reshape(*bins.shape[:2], 8))}, channels)


def perfect_embedding(target, channels):
    """Each identity has a direction of its own, that of its column in the kernel of `perfect`."""
    index, identities = (ops.convert_to_numpy(target[name]) for name in ("index", "identities"))
    known = identities >= 0
    value = np.eye(channels)[np.where(known, identities, 0)]
    return perfect_values({"index": index, "value": value, "mask": known[..., None]}, channels)


def perfect_shape(target, channels):
    """Sure of every part; the truth is the same between the places where it is compared and where it is found."""
    side, wanted = round(channels**0.5), ops.convert_to_numpy(target["value"])
    place = ((np.arange(side) + 0.5) / side * wanted.shape[-1]).astype(int)
    vectors = 40 * wanted[:, :, place][..., place].round() - 20
    mask = ops.convert_to_numpy(target["mask"])[..., None]
    return perfect_values({**target, "mask": mask, "value": vectors.reshape(*wanted.shape[:2], -1)}, channels)


def perfect_saliency(target, channels):
    """Sure wherever an object might be: shapes alone say where it is not."""
    return np.full((len(ops.convert_to_numpy(target["index"])), *GRID, channels), 20.0)


def perfect(term, target, channels):
    """{head: map} of a network that makes no mistake, and, of a loss that is learned, that loss at its end."""
    if isinstance(term.function, Classifier):
        term.function.build()
        term.function.kernel.assign(50 * np.eye(channels[term.reads[0]]))
    functions = PERFECT.get(term.function, PERFECT.get(type(term.function)))
    functions = functions if isinstance(functions, tuple) else (functions,)
    return {head: function(target, channels[head]) for head, function in zip(term.reads, functions, strict=True)}


@pytest.fixture
def rows(rows):
    """Rows of the tests, with identities that are of the classes of their objects."""

    def make(*arguments, **settings):
        made = rows(*arguments, **settings)
        if "identities" in made:
            made["identities"] = np.where(made["valid"], CLASSES * made["classes"] + made["identities"], -1)
        return made

    return make


EXTRAS = {"camera": DEFAULT_CAMERA}  # What each image brings beside its pixels.

# What a network that makes no mistake answers, by the function that judges it.
PERFECT = {
    losses.focal: perfect_heatmap,
    losses.masked_l1: perfect_values,
    **dict.fromkeys(overlap.BOX_LOSSES.values(), (perfect_shifts, perfect_edges)),
    overlap.score: (perfect_shifts, perfect_edges, perfect_overlap),
    frames_l1: perfect_sizes,
    box3d_losses.depth: perfect_depth,
    box3d_losses.rotation: perfect_rotation,
    Classifier: perfect_embedding,
    mask_losses.product: (perfect_shape, perfect_saliency),
}


def floor(term, target):
    """What a term costs where nothing is wrong."""
    if term.function is not box3d_losses.rotation:
        return 0.0
    return 2 * np.log(2) * (1 - float(ops.convert_to_numpy(ops.sum(target["mask"]))) / (2 * target["rows"]))


@every_case
def test_twice_mirrored_is_as_before(case):
    for head in task_set(*case).heads:
        values = np.random.default_rng(2).normal(size=(1, *GRID, head.channels)).astype(np.float32)
        if head.mirror is not None:
            twice = ops.convert_to_numpy(head.mirror(head.mirror(ops.convert_to_tensor(values))))
            np.testing.assert_allclose(twice, values, rtol=1e-6)


@every_case
def test_names_fit_each_other(case, rows):
    tasks = task_set(*case)
    heads = {head.name for head in tasks.heads}
    assert {name for term in tasks.terms for name in term.reads} == heads
    assert set(tasks.encode(rows(tasks.fields), GRID)) == {term.name for term in tasks.terms}
    assert all(field.labels in ("", *(other.name for other in tasks.fields)) for field in tasks.fields)
    assert "image" in tasks.inputs


@pytest.mark.parametrize("objects", [0, 1, 4])
@pytest.mark.parametrize("case", short([(names, {}, {}) for names in SETS]), ids=title)
def test_perfect_maps_of_any_number_give_the_objects_back(case, objects, rows):
    check_perfect_maps(case, objects, rows)


@pytest.mark.parametrize("case", short(OPTIONS), ids=title)
def test_perfect_maps_give_the_objects_back(case, rows):
    check_perfect_maps(case, 4, rows)


def check_perfect_maps(case, objects, rows):
    """What is decoded of the maps of a network that makes no mistake are the objects, and its losses are none."""
    tasks = task_set(*case)
    truth = rows(tasks.fields, SIZE, objects=objects, num_classes=CLASSES, seed=objects)
    targets = tasks.encode(truth, GRID)
    channels = channels_of(tasks)
    maps = {}
    for term in tasks.terms:
        for head, values in perfect(term, targets[term.name], channels).items():
            maps[head] = [ops.convert_to_tensor(values, "float32")]
    extras = {extra.name: np.stack([EXTRAS[extra.name]] * len(truth["valid"])) for extra in tasks.extras}
    decoded = tasks.place(tasks.decode(maps), {name: ops.convert_to_tensor(one) for name, one in extras.items()})
    found = {name: ops.convert_to_numpy(value) for name, value in decoded.items()}
    assert set(found) == {"boxes", "scores", "classes", *(find.name for find in tasks.finds)}
    sized = "size" in channels  # else the box is that around the corners in space

    def leading(values):
        return values["boxes"][..., 0] if sized else values["depths"]

    for image in range(len(truth["valid"])):
        kept = found["scores"][image] > 0.5
        assert kept.sum() == objects
        wanted = truth["valid"][image]
        order = np.argsort(leading(found)[image, kept])
        wanted_order = np.argsort(leading(truth)[image, wanted])
        for field in tasks.fields:
            if field.name not in found or field.level == "pair" or (field.name == "boxes" and not sized):
                continue  # Pairs are not in the order of objects.
            value, expected = found[field.name][image, kept][order], truth[field.name][image, wanted][wanted_order]
            if field.name in tasks.motions:
                value = value * STRIDE
            if field.labels:
                known = truth[field.labels][image, wanted][wanted_order] > 0
                value, expected = value[known], expected[known]
            np.testing.assert_allclose(value, expected, atol=1e-3, err_msg=field.name)
    values = tasks.losses(maps, targets)
    for term in tasks.terms:
        wrong = float(ops.convert_to_numpy(values[term.name])) - floor(term, targets[term.name])
        assert abs(wrong) < 0.05 * max(objects, 1), f"{term.name} of perfect maps"


@pytest.mark.parametrize("name", TASKS)
def test_the_truth_laid_out_as_maps_costs_nothing(name, rows):
    tasks = task_set((name,))
    truth = rows(tasks.fields, SIZE, num_classes=CLASSES)
    known, targets = terms_of(tasks), tasks.encode(truth, GRID)
    maps = ideal_maps(tasks, truth, GRID, known)
    assert "heatmap" in maps
    for head, term in known.items():
        cost = float(ops.convert_to_numpy(term.function(maps[head], targets[term.name])))
        assert abs(cost - floor(term, targets[term.name])) < 0.05, head


def inputs_of(tasks, rows, images=2):
    """A batch of noise."""
    random = np.random.default_rng(0)
    inputs = {
        name: random.integers(0, 256, (images, *shape_of(wanted, *SIZE))).astype(np.uint8)
        for name, wanted in tasks.inputs.items()
        if wanted.draw is None
    }
    if tasks.clip is not None and tasks.clip.drawn:
        inputs["rows"] = rows(tasks.clip.drawn, SIZE, images=images)
    return {**inputs, "color": np.tile(np.float32([1, 0, 0, 0, 0, 0]), (images, 1))}


@every_stepped
def test_a_step_moves_every_weight_and_none_is_finite_without_objects(case, rows):
    tasks = task_set(*case)
    network = build_network(SMALLEST, tasks.heads, tasks.inputs)
    trainer = Trainer(network, tasks, Normalization(), SIZE)
    trainer.compile(keras.optimizers.Adam(0.01), loss=None, **FASTEST)
    inputs = inputs_of(tasks, rows)

    before = [ops.convert_to_numpy(weight) for weight in network.trainable_weights]
    losses_of_step = trainer.train_on_batch(inputs, rows(tasks.fields, SIZE, num_classes=CLASSES), return_dict=True)
    after = [ops.convert_to_numpy(weight) for weight in network.trainable_weights]
    still = [weight.path for weight, a, b in zip(network.trainable_weights, before, after) if np.array_equal(a, b)]
    assert not still, f"weights that a step does not move: {still}"
    assert {f"{term.name}_loss" for term in tasks.terms} < set(losses_of_step)

    trainer.reset_metrics()
    empty = trainer.train_on_batch(inputs, rows(tasks.fields, SIZE, objects=0), return_dict=True)
    assert np.isfinite(list(empty.values())).all(), empty
    assert all(np.isfinite(ops.convert_to_numpy(weight)).all() for weight in network.weights)


@every_stepped
def test_halves_of_a_batch_have_the_loss_of_all_of_it(case, rows):
    """As two devices compute it, to which the sums over both are told; the first half has fewer objects."""
    tasks = task_set(*case)
    for layer in tasks.layers:
        layer.build(None)
    truth = rows(tasks.fields, SIZE, images=4, num_classes=CLASSES)
    truth["valid"][:2, 1:] = False
    random = np.random.default_rng(0)
    maps = {
        name: random.normal(size=(4, *GRID, depth)).astype(np.float32) for name, depth in channels_of(tasks).items()
    }

    def of(part, add):
        """The terms and their total of some images."""
        own = {name: ops.convert_to_tensor(value[part]) for name, value in truth.items()}
        seen = {name: [ops.convert_to_tensor(value[part])] for name, value in maps.items()}
        with losses.summed_over_devices(add):
            values = tasks.losses(seen, tasks.encode(own, GRID))
            return ops.convert_to_numpy(ops.stack([*values.values(), tasks.total(values)]))

    sums = [[], []]
    halves = [slice(0, 2), slice(2, 4)]
    for half, noted in zip(halves, sums):
        of(half, lambda total, noted=noted: noted.append(total) or total)
    whole = of(slice(0, 4), lambda total: total)
    for half in halves:
        both = iter([one + other for one, other in zip(*sums, strict=True)])
        np.testing.assert_allclose(of(half, lambda total, both=both: next(both)), whole, rtol=1e-4)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="on the JAX backend XLA compiles everything")
@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, marks=[pytest.mark.long, *([pytest.mark.release] if any(case[1:]) else [])])
        for case in STEPPED
        if len(case[0]) == 1
    ],
    ids=title,
)
def test_xla_compiles_a_step(case, rows):
    """As training on a GPU has it: not all that TensorFlow computes can be compiled, or has a gradient there."""
    truth, told = rows(task_set(*case).fields, SIZE, num_classes=CLASSES), []
    for way in (FASTEST, {"jit_compile": True}):
        keras.utils.set_random_seed(0)
        tasks = task_set(*case)
        network = build_network(SMALLEST, tasks.heads, tasks.inputs)
        trainer = Trainer(network, tasks, Normalization(), SIZE, ema=0.9)
        trainer.compile(keras.optimizers.Adam(0.01), loss=None, **way)
        told.append(trainer.train_on_batch(inputs_of(tasks, rows), truth, return_dict=True))
    assert told[1] == pytest.approx(told[0], rel=1e-3)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the JAX backend compiles each size anew")
@pytest.mark.parametrize("case", short([case for case in STEPPED if "track" not in case[0]]), ids=title)
def test_one_compiled_step_takes_batches_of_every_size(case, rows):
    """As multi-scale training has it: the height and width of a batch are known when it comes."""
    import tensorflow as tf

    tasks, sizes = task_set(*case), ((32, 64), SIZE)
    network = build_network(SMALLEST, tasks.heads, tasks.inputs)
    trainer = Trainer(network, tasks, Normalization(), SIZE, sizes=sizes)
    trainer.compile(loss=None)

    def loss(inputs, truth):
        return trainer.compute_loss(y=truth, y_pred=trainer(inputs, training=False), training=False)

    random, batches = np.random.default_rng(0), []
    for size in sizes:
        shape = shape_of(tasks.inputs["image"], *size)
        inputs = {"image": random.integers(0, 256, (2, *shape)).astype(np.uint8)}
        inputs["color"] = np.tile(np.float32([1, 0, 0, 0, 0, 0]), (2, 1))
        batches.append((inputs, rows(tasks.fields, size, num_classes=CLASSES)))
    signature = keras.tree.map_structure(lambda one: tf.TensorSpec(one.shape, one.dtype), batches[0])
    signature[0]["image"] = tf.TensorSpec((2, *shape[:-3], None, None, shape[-1]), "uint8")
    compiled = tf.function(loss, input_signature=signature)
    for batch in batches:
        np.testing.assert_allclose(compiled(*batch), loss(*batch), rtol=1e-4)


@every_trained
def test_the_saved_network_gives_the_same_maps(case, tmp_path):
    names, _, more = case
    tasks = task_set(*case)
    network = build_network(SMALLEST, tasks.heads, tasks.inputs)
    card = ModelCard(
        tasks=settings_of(names, more),
        backbone=SMALLEST,
        classes=("a", "b", "c"),
        max_objects=5,
        input=InputCard(height=SIZE[0], width=SIZE[1], stride=32),
    )
    save_model(tmp_path / "model.keras", network, card)
    again, card_again = load_model(tmp_path / "model.keras")
    assert card_again == card
    random = np.random.default_rng(1)
    images = {
        name: random.normal(size=(1, *shape_of(wanted, 32, 64))).astype("float32")
        for name, wanted in tasks.inputs.items()
    }
    images = images if len(images) > 1 else images["image"]
    expected, given = network(images, training=False), again(images, training=False)
    assert list(given) == [head.name for head in tasks.heads]
    for head in tasks.heads:
        (first,), (second,) = expected[head.name], given[head.name]
        first, second = losses.whole_map(first), losses.whole_map(second)
        assert first.shape == (1, 8, 16, channels_of(tasks)[head.name])
        np.testing.assert_array_equal(ops.convert_to_numpy(first), ops.convert_to_numpy(second), err_msg=head.name)
