import pytest

from centernet_tf.cli.sizes import parse_size
from centernet_tf.config import parse_settings
from centernet_tf.errors import UsageError


@pytest.mark.parametrize(
    ("text", "size"), [("512x512", (512, 512)), ("384X1280", (384, 1280)), ("128", (128, 128)), (" 64, 96 ", (64, 96))]
)
def test_sizes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["1000000x1000000", "512x16385", "9" * 5000, "1x" + "9" * 5000])
def test_no_memory_holds_such_sizes(text):
    with pytest.raises(UsageError, match="expected at most 16384 pixels a side") as caught:
        parse_size(text)
    assert len(str(caught.value)) < 300


def test_settings_have_the_same_bound():
    data = {"train": "records", "size": [64, 16384]}
    assert parse_settings({"data": data}, "here").data.size == (64, 16384)
    with pytest.raises(UsageError, match=r"data: size: value 2 is 16416: .* less than or equal to 16384"):
        parse_settings({"data": {**data, "size": [64, 16416]}}, "here")


@pytest.mark.parametrize("text", ["", "0x10", "12x", "x12", "12x12x12", "-5x5", "1.5x2", "large"])
def test_no_sizes(text):
    with pytest.raises(UsageError, match=r"--size .* expected height and width in pixels, such as 512x512"):
        parse_size(text)
