"""Timings behind the documentation's figures; run by `scripts/benchmark`."""
