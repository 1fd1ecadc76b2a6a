"""What a setting or an argument may be, and what is said of others (no PyTorch here).

A setting has one rule, which its dataclass checks and the command line reads; `whole` and `number` are for arguments.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import numbers
from dataclasses import dataclass
from pathlib import Path
from typing import Any


def choose(name: str, known, what: str, note: str = "") -> str:
    """Return `name` if it is one of `known`; otherwise raise ValueError that lists the near ones."""
    known = sorted(known)
    if isinstance(name, str) and name in known:
        return name
    near = difflib.get_close_matches(str(name)[:200], known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
    raise ValueError(f"unknown {what} {shortened(name)}{note}: {hint}known are {', '.join(known)}")


def shortened(value) -> str:
    """repr for a message: one line, nothing that a terminal would obey, not endless."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:78]} …"


def whole(value, what: str, low: int, high: int | None = None) -> int:
    """`value` as an int; TypeError unless it is a whole number, ValueError unless it is from `low` to `high`."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{what} must be a whole number, got {shortened(value)} ({type(value).__name__})")
    if value < low or (high is not None and value > high):
        bounds = f"at least {low}" if high is None else f"from {low} to {high}"
        raise ValueError(f"{what} must be {bounds}, got {value}")
    return int(value)


def number(value, what: str, low: float, above: bool = False) -> float:
    """`value` as a float; TypeError unless it is a number, ValueError unless finite and at least (or above) `low`."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{what} must be a number, got {shortened(value)} ({type(value).__name__})")
    if not math.isfinite(value) or value < low or (above and value == low):
        raise ValueError(f"{what} must be finite and {'above' if above else 'at least'} {low:g}, got {value}")
    return float(value)


@dataclass(frozen=True)
class Number:
    """A number from `low` to `high`; `above` and `below` are limits that are not reached themselves."""

    kind: type = float  # int: whole numbers only
    low: float = -math.inf
    high: float = math.inf
    above: float = -math.inf
    below: float = math.inf
    optional: bool = False

    def check(self, name: str, value) -> None:
        if value is None and self.optional:
            return
        right = isinstance(value, int) if self.kind is int else isinstance(value, (int, float))
        within = right and not isinstance(value, bool) and self.low <= value <= self.high
        if not (within and self.above < value < self.below and (self.kind is int or abs(value) < math.inf)):
            raise ValueError(f"{name} must be {self.words()}, got {shortened(value)}")

    def words(self) -> str:
        out = "a whole number" if self.kind is int else "a number"
        limits = (("above", self.above), ("of at least", self.low), ("below", self.below), ("of at most", self.high))
        shown = str if self.kind is int else "{:g}".format
        said = [f"{word} {shown(limit)}" for word, limit in limits if abs(limit) < math.inf]
        return " ".join([out, " and ".join(said)]).strip() + (" or None" if self.optional else "")


@dataclass(frozen=True)
class Choice:
    """One of some names; or one of some numbers, which `words` explain."""

    known: tuple[str | int, ...]
    words: str = ""

    def check(self, name: str, value) -> None:
        if not self.words:
            choose(value, self.known, name)
        elif type(value) is not type(self.known[0]) or value not in self.known:
            raise ValueError(f"{name} must be {self.words}, got {shortened(value)}")


@dataclass(frozen=True)
class Flag:
    """True or False."""

    def check(self, name: str, value) -> None:
        if not isinstance(value, bool):
            raise ValueError(f"{name} must be true or false, got {shortened(value)}")


@dataclass(frozen=True)
class Numbers:
    """Some numbers of one kind, `least` to `most` of them; a list becomes a tuple where it is checked by `checked`."""

    each: Number
    most: int = 16
    least: int = 1
    optional: bool = False

    def check(self, name: str, value) -> None:
        if value is None and self.optional:
            return
        if not isinstance(value, tuple) or not self.least <= len(value) <= self.most:
            kind = "whole numbers" if self.each.kind is int else "numbers"
            said = f"{name} must be a list of {kind}, {self.least} to {self.most} of them, e.g. [64, 128, 256]"
            raise ValueError(f"{said}, got {shortened(value)}")
        for i, number in enumerate(value):
            self.each.check(f"{name}[{i}]", number)


@dataclass(frozen=True)
class Name:
    """A path or a name; an empty one is a slip."""

    optional: bool = False

    def check(self, name: str, value) -> None:
        if value is None and self.optional:
            return
        if not isinstance(value, (str, Path)) or not str(value).strip() or "\0" in str(value):
            raise ValueError(f"{name} must be a name or a path, got {shortened(value)}")


def setting(default: Any = dataclasses.MISSING, rule=None, help: str = "") -> Any:
    """A dataclass field with its rule and the sentence that the command line prints."""
    return dataclasses.field(default=default, metadata={"rule": rule, "help": help})


def checked(instance) -> None:
    """Check every field that has a rule; for `__post_init__` of frozen dataclasses.

    Lists, as JSON gives them back, become tuples first, NumPy's numbers and arrays Python's own.
    """
    for field in dataclasses.fields(instance):
        value = getattr(instance, field.name)
        if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
            object.__setattr__(instance, field.name, value := value.tolist())
        if isinstance(value, list):
            object.__setattr__(instance, field.name, value := tuple(value))
        if (rule := field.metadata.get("rule")) is not None:
            rule.check(field.name, value)
