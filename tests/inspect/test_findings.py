import pytest

from centernet_tf.inspect.findings import CHECKS
from centernet_tf.properties import PROPERTIES
from centernet_tf.properties.notebook import SEVERITIES

ALL = [
    *CHECKS.items(),
    *((f"{name}.{code}", check) for name, one in PROPERTIES.items() for code, check in one.checks.items()),
]


@pytest.mark.parametrize("check", [check for _, check in ALL], ids=[code for code, _ in ALL])
def test_every_check_says_what_and_how_to_fix_it(check):
    assert check.severity in SEVERITIES
    assert check.what
    assert not check.what.endswith(".")
    assert check.fix.endswith(".")


def test_codes_of_properties_are_their_own():
    codes = [code for one in PROPERTIES.values() for code in one.checks]
    assert len({*CHECKS, *codes}) == len(CHECKS) + len(codes)
    assert all(one.broken in {**CHECKS, **one.checks} for one in PROPERTIES.values())
