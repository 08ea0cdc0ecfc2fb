"""A data set is divided by names alone: the same images come to the same side, whatever else there is."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from centernet_tf.datasets.division import divide, position
from centernet_tf.datasets.items import Item, MadeItems, Split
from centernet_tf.errors import UsageError


def item(name, **more):
    return Item(
        key=name, image_id=1, source=b"", filename=name, boxes=np.zeros((0, 4)), classes=[], **{"video": "", **more}
    )


def names(split):
    return [one.filename for one in split.items]


def sides(filenames, share=0.3, seed=0, **more):
    found = divide(Split(("cat",), [item(name, **more) for name in filenames]), share, seed).parts
    return {name: side for side, part in found.items() for name in names(part)}


MANY = [f"{number:04d}.jpg" for number in range(2000)]


def test_every_image_is_on_one_side_in_its_order():
    data = Split(("cat", "dog"), [item(name) for name in MANY], ("properties",))
    found = divide(data, 0.2)
    train, val = found.parts["train"], found.parts["val"]
    assert sorted(names(train) + names(val)) == MANY
    assert names(train) == sorted(names(train)) and names(val) == sorted(names(val))
    assert train.classes == val.classes == data.classes and train.properties == val.properties == data.properties
    assert (len(train.items), len(val.items)) == (len(names(train)), len(names(val)))
    assert found.told == f"Of 2000 images {len(train.items)} are for train, {len(val.items)} for val, by seed 0."


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5, 0.9])
def test_the_share_is_met_within_chance(share):
    held = list(sides(MANY, share).values()).count("val")
    assert abs(held - share * 2000) < 4 * np.sqrt(2000 * share * (1 - share))


@settings(max_examples=15, deadline=None)
@given(st.sets(st.text(min_size=1, max_size=8), max_size=30), st.integers(0, 5))
def test_further_images_move_no_other(further, seed):
    before, after = sides(MANY[:60], seed=seed), sides([*MANY[:60], *sorted(further - set(MANY))], seed=seed)
    assert {name: after[name] for name in before} == before


def test_the_choice_is_that_of_every_machine():
    """The first 12 digits that `printf 0/a.jpg | sha256sum` prints, and those of 1/a.jpg."""
    assert position("a.jpg", 0) == 0xF855FB387F08 / 2**48
    assert position("a.jpg", 1) == 0x73E938164FC2 / 2**48
    assert sides(MANY) == sides(MANY[::-1]) and sides(MANY, seed=1) != sides(MANY)


def test_a_larger_share_keeps_what_a_smaller_one_had():
    small, large = sides(MANY, 0.1), sides(MANY, 0.3)
    assert {name for name in small if small[name] == "val"} < {name for name in large if large[name] == "val"}


def test_frames_of_a_video_stay_together():
    items = [item(f"{video}/{frame}", video=f"v{video}", frame=frame) for video in range(20) for frame in range(5)]
    found = divide(Split(("cat",), MadeItems(lambda: iter(items))), 0.3)
    train, val = ({one.video for one in found.parts[side].items} for side in ("train", "val"))
    assert not train & val and len(train | val) == 20
    assert f"{len(train)} and {len(val)} of 20 videos" in found.told


def test_copies_of_an_image_by_roboflow_stay_together():
    copies = [f"{number}_jpg.rf.{number * 7919 + copy:032x}.jpg" for number in range(50) for copy in range(3)]
    found = sides(copies)
    for number in range(50):
        assert len({side for name, side in found.items() if name.startswith(f"{number}_jpg.")}) == 1
    assert set(found.values()) == {"train", "val"}


@pytest.mark.parametrize("share", [0, 1, -0.1, 20, float("nan"), float("inf")])
def test_impossible_shares_are_refused(share):
    with pytest.raises(UsageError, match="expected a fraction of the images between 0 and 1"):
        sides(MANY, share)


@pytest.mark.parametrize(("share", "empty"), [(0.001, "val"), (0.999, "train")])
def test_an_empty_part_is_an_error(share, empty):
    with pytest.raises(UsageError, match=rf"Of 3 images .*There must be some in {empty}: give another share than"):
        sides(MANY[:3], share)


def test_a_single_video_cannot_be_divided():
    with pytest.raises(UsageError, match="of 1 videos"):
        sides(MANY, video="one")


def test_names_that_are_no_text_are_divided():
    odd = dataclasses.replace(item("a"), video="\ud800")
    assert divide(Split(("cat",), [odd, *(item(name) for name in MANY[:20])]), 0.5).parts
