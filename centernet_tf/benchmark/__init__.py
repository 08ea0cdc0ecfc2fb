"""Timings behind the README's figures; run by `scripts/benchmark`."""
