import pytest

from centernet_tf.cli.sizes import parse_size
from centernet_tf.errors import UsageError


@pytest.mark.parametrize(
    ("text", "size"), [("512x512", (512, 512)), ("384X1280", (384, 1280)), ("128", (128, 128)), (" 64, 96 ", (64, 96))]
)
def test_sizes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "0x10", "12x", "x12", "12x12x12", "-5x5", "1.5x2", "large"])
def test_no_sizes(text):
    with pytest.raises(UsageError, match=r"--size .* expected height and width in pixels, such as 512x512"):
        parse_size(text)
