"""A function compiled by XLA for fixed arguments on JAX, and the memory that it takes by XLA's own account."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any


@dataclasses.dataclass(frozen=True)
class Program:
    """One compiled function.

    Attributes:
        call: What XLA made of it.
        megabytes: Arguments, results and what lies between, all that the program holds at its peak; NaN where XLA does
            not say. The device's own counter has the peak of a process, which the largest program before has set.
    """

    call: Callable[..., Any]
    megabytes: float

    def __call__(self, *arguments: Any) -> Any:
        """The results, once they are there."""
        import jax

        return jax.block_until_ready(self.call(*arguments))


def program(function: Callable[..., Any], arguments: Sequence[Any], donated: tuple[int, ...] = ()) -> Program:
    """Compiles a function of arrays, or of structures of them.

    Args:
        function: Pure.
        arguments: Such as it will be called with; they are not changed.
        donated: Numbers of the arguments that a call gives away, so that results lie in their place.
    """
    import jax

    made = jax.jit(function, donate_argnums=donated).lower(*arguments).compile()
    return Program(made, _megabytes(made.memory_analysis()))


def _megabytes(told: Any) -> float:
    if told is None:
        return float("nan")
    held = told.argument_size_in_bytes + told.output_size_in_bytes + told.temp_size_in_bytes
    return (held - told.alias_size_in_bytes) / 1e6


def device_peak() -> float | None:
    """Most MB of the device's memory that this process has held so far; None where the device does not count."""
    import jax

    told = jax.devices()[0].memory_stats()
    return told["peak_bytes_in_use"] / 1e6 if told and "peak_bytes_in_use" in told else None


def device_kind() -> str:
    """What JAX runs on, such as "NVIDIA H100" or "cpu"."""
    import jax

    return jax.devices()[0].device_kind
