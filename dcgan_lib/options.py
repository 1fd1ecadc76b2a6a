"""What the command line is made of: options out of dataclass fields, values out of text, mistakes in words.

The fields' own rules and sentences (`checks`) are used, so that nothing is said twice. No PyTorch here: `--help` must
answer at once.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import difflib
import json
import re
from collections.abc import Callable
from pathlib import Path

from .architecture import ARCHITECTURES, Architecture
from .checks import Choice, Flag, Name, Number, Numbers, choose, shortened


class Mistake(Exception):  # no ValueError, whose words argparse throws away
    """A call of the command line that cannot be meant; the message says what was expected."""


class Parser(argparse.ArgumentParser):
    """argparse's, but with mistakes as exceptions, near names, and no abbreviations, which new options would break.

    `tail` makes the end of --help, when that is asked for.
    """

    tail: Callable[[], str] | None = None

    def __init__(self, *args, **settings):
        super().__init__(*args, **{"allow_abbrev": False} | settings)

    def format_help(self) -> str:
        tail = self.tail() if self.tail else ""
        return super().format_help() + (f"\n{tail}\n" if tail else "")

    def error(self, message: str):
        if found := re.search(r"invalid choice: (.*) \(choose from (.*)\)", message):
            given, known = found[1].strip("'\""), re.findall(r"[\w-]+", found[2])
            what = message.split(":")[0].removeprefix("argument ")
            choose(given, known, what.lower() if what.isupper() else what)
        raise Mistake(f"{message.removeprefix('argument ')}; `{self.prog} --help` lists what there is")


def parse(top: Parser, arguments: list[str]) -> argparse.Namespace:
    """Raises Mistake or ValueError for what is wrong; an unknown option is told which one is near."""
    args, unknown = top.parse_known_args(arguments)
    if unknown:
        parser = subparsers(top)[args.command]
        flags = [flag for action in parser._actions for flag in action.option_strings]
        near = difflib.get_close_matches(unknown[0].partition("=")[0], flags, n=2)
        hint = f": did you mean {' or '.join(near)}?" if near else f"; `{parser.prog} --help` lists what there is"
        raise Mistake(f"unknown {'option' if unknown[0].startswith('-') else 'argument'} {shortened(unknown[0])}{hint}")
    return args


def subparsers(top: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The commands' own parsers, by name."""
    return next(a for a in top._actions if isinstance(a, argparse._SubParsersAction)).choices


def reader(rule, name: str) -> Callable[[str], object]:
    """For add_argument's `type`: text → a value that the rule allows, or Mistake that names the option."""
    if getattr(rule, "optional", False):  # who wants the default leaves the option out
        rule = dataclasses.replace(rule, optional=False)

    def read(text: str):
        value = text
        if isinstance(rule, Number):
            with contextlib.suppress(ValueError):
                value = rule.kind(text)
        try:
            rule.check(name, value)
        except ValueError as error:
            raise Mistake(str(error)) from None
        return value

    return read


def named(name: str) -> Callable[[str], str]:
    """For add_argument's `type`: text that is not empty."""
    return reader(Name(), name)


def path(name: str) -> Callable[[str], Path]:
    """For add_argument's `type`: a path; an empty one would be the folder one stands in."""
    read = named(name)
    return lambda text: Path(read(text)).expanduser()


architecture_name = reader(Choice(tuple(ARCHITECTURES)), "architecture")  # for add_argument's `type`


def add(group, *flags: str, names: str | None = None, **settings) -> argparse.Action:
    """add_argument, with what a shell completes: "architectures", "weights", "data", "anything", or a file (None)."""
    action = group.add_argument(*flags, **settings)
    action.names = names
    return action


def add_field(group, field: dataclasses.Field, *flags: str, after: str = "", **settings) -> argparse.Action:
    """The option of a dataclass field: its name, rule, default and sentence. One not given is left to the dataclass."""
    rule, name = field.metadata["rule"], field.name.replace("_", "-")
    help = f"{field.metadata['help']}{after}"
    common = {"dest": field.name, "default": argparse.SUPPRESS}
    if isinstance(rule, Flag) and not field.default:
        return add(group, *flags, f"--{name}", action="store_true", help=escaped(help), **common)
    if isinstance(rule, Flag):
        return add(group, *flags, f"--no-{name}", action="store_false", help=escaped(f"without {help}"), **common)
    flags = flags or (f"--{name}",)
    if isinstance(rule, Number):
        common["metavar"] = "N" if rule.kind is int else "X"
    if isinstance(rule, Choice):
        common["choices"] = rule.known
    if field.default is dataclasses.MISSING:
        common["required"] = True
    elif (default := settings.get("default", field.default)) is not None:
        help += f" (default: {default})"
    if rule is not None:
        common["type"] = reader(rule, flags[0])
    return add(group, *flags, help=escaped(help), **common | settings)


def escaped(help: str) -> str:
    """argparse fills in what follows a %."""
    return help.replace("%", "%%")


def fields_of(kind: type) -> dict[str, dataclasses.Field]:
    return {field.name: field for field in dataclasses.fields(kind)}


def field_list(kind: type) -> str:
    """The fields of a dataclass, a line each, as --help ends with them."""
    return "\n".join(
        f"  {name:24} {field.metadata['help']}{_allowed(field)}" for name, field in fields_of(kind).items()
    )


def _allowed(field: dataclasses.Field) -> str:
    rule = field.metadata["rule"]
    if isinstance(rule, Choice):
        return f" ({', '.join(map(str, rule.known))})"
    return " (a list, e.g. [64,128])" if isinstance(rule, Numbers) else ""


def changes(pairs: list[str]) -> dict:
    """['latent_dim=10', 'norm=none'] → fields of Architecture with values of their types.

    Values are JSON where they parse (10, true, [64, 128], null), also with Python's True, False and None.
    Raises ValueError for an unknown field, one that is given twice, and a value that its rule does not allow.
    """
    known, out = fields_of(Architecture), {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        name = name.strip()
        if not equals or not name:
            raise ValueError(f"expected --set FIELD=VALUE, e.g. latent_dim=10, got {shortened(pair)}")
        choose(name, known, "architecture field")
        if name in out:
            raise ValueError(f"--set gives {name} twice")
        rule = known[name].metadata["rule"]
        try:
            value = json.loads({"True": "true", "False": "false", "None": "null"}.get(text, text))
        except (ValueError, RecursionError):  # no JSON, more digits than Python reads, lists in lists without end
            value = None if text == "none" and getattr(rule, "optional", False) else text
        out[name] = tuple(value) if isinstance(value, list) else value
        rule.check(f"--set {name}", out[name])
    return out
