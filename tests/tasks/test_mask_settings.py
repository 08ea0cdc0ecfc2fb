"""Settings of masks: what the records say, what does not go together, and wherever masks cannot go."""

from pathlib import Path
from types import SimpleNamespace

import pydantic
import pytest

from centernet_tf.errors import UsageError
from centernet_tf.properties.masks import Masks
from centernet_tf.tasks import read_task
from centernet_tf.tasks.mask import Mask


def records_of(*properties):
    named = {one.name: one for one in properties}
    return SimpleNamespace(directory=Path("records"), classes=("a",), property=named.get)


def test_masks_are_as_fine_as_the_records():
    assert Mask().complete(records_of(Masks())).mask_side == 64
    completed = Mask(head="dynamic").complete(records_of(Masks(side=28)))
    assert completed.property == Masks(side=28, threshold=0.5, margin=0.5)
    assert completed.complete(records_of(Masks(side=28))) == completed
    assert read_task("mask", completed.model_dump(mode="json")) == completed


def test_records_without_masks():
    with pytest.raises(UsageError, match=r"records: its dataset\.yaml has no masks"):
        Mask().complete(records_of())


def test_records_of_another_side():
    with pytest.raises(UsageError, match=r"mask_side: 32, but masks of records have 64 rows"):
        Mask(mask_side=32).complete(records_of(Masks()))


def test_a_margin_that_cuts_through_a_column():
    with pytest.raises(UsageError, match=r"mask: with margin 0\.5, 8\.25 of 33 columns .* Try"):
        Mask(head="dynamic").complete(records_of(Masks(side=33)))
    with pytest.raises(UsageError, match=r"with margin 0\.31, 12\.25 of 64"):
        read_task("mask", {"head": "dynamic", "margin": 0.31})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"head": "product", "margin": 0.5}, "end with their box"),
        ({"head": "dynamic", "side": 28}, "side is a setting of head product"),
        ({"head": "dynamic", "direct": True}, "direct is a setting of head product"),
        ({"head": "coarse"}, "head"),
        ({"threshold": 1.0}, "threshold"),
        ({"saliency": "classes"}, "saliency"),
        ({"shape": 3}, "shape"),
    ],
)
def test_settings_that_mean_nothing(settings, message):
    with pytest.raises(pydantic.ValidationError, match=message):
        Mask(**settings)
    with pytest.raises(UsageError, match="mask"):
        read_task("mask", settings)


def test_what_is_left_out_is_the_original_s():
    assert (Mask().property.threshold, Mask(head="dynamic").property.threshold) == (0.4, 0.5)
    assert Mask(threshold=0.3).property.threshold == 0.3
    assert Mask(margin=0).property.margin == 0
