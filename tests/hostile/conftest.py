"""How many cases the long tests of this folder run."""

import os

import pytest


@pytest.fixture
def most():
    """At most so many cases: HOSTILE_CASES, which continuous integration sets; as many as a test has, if it is not."""
    return int(os.environ.get("HOSTILE_CASES", 10**9))
