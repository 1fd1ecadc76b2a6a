"""What public functions say of arguments that they cannot take: the thing, what was expected, what came."""

from __future__ import annotations

import math
import numbers


def whole(value, what: str, low: int, high: int | None = None) -> int:
    """`value` as an int; TypeError unless it is a whole number, ValueError unless it is from `low` to `high`."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{what} must be a whole number, got {value!r:.80} ({type(value).__name__})")
    if value < low or (high is not None and value > high):
        bounds = f"at least {low}" if high is None else f"from {low} to {high}"
        raise ValueError(f"{what} must be {bounds}, got {value}")
    return int(value)


def number(value, what: str, low: float, above: bool = False) -> float:
    """`value` as a float; TypeError unless it is a number, ValueError unless finite and at least (or above) `low`."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{what} must be a number, got {value!r:.80} ({type(value).__name__})")
    if not math.isfinite(value) or value < low or (above and value == low):
        raise ValueError(f"{what} must be finite and {'above' if above else 'at least'} {low:g}, got {value}")
    return float(value)
