"""Shell completion: a script for bash, zsh or fish, written out of the command line's own parser.

The script is static: it starts no Python, and is written anew when the library changes.
"""

from __future__ import annotations

import argparse
import shlex

from .checks import choose
from .options import subparsers

SHELLS = ("bash", "zsh", "fish")


def script(shell: str, top: argparse.ArgumentParser, names: dict[str, list[str]]) -> str:
    """What to put where the shell looks: see the script's first lines. `names` are the values of `Action.names`.

    Raises ValueError for an unknown shell.
    """
    choose(shell, SHELLS, "shell")
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](top, names)


def _words(action: argparse.Action, names: dict[str, list[str]]) -> list[str]:
    """What may stand for an option's or an argument's value; [] where it is a file or anything at all."""
    if action.choices is not None:
        return [str(choice) for choice in action.choices]
    kind = getattr(action, "names", None)
    return [] if kind is None else names[kind]


def _actions(parser: argparse.ArgumentParser) -> tuple[list[argparse.Action], list[argparse.Action]]:
    """A command's options and its positional arguments."""
    options = [action for action in parser._actions if action.option_strings]
    return options, [action for action in parser._actions if not action.option_strings]


def _cases(top: argparse.ArgumentParser, names: dict[str, list[str]]) -> str:
    """The body that bash and zsh share: fills `found` from $command, $previous and $option."""
    lines = []
    for name, parser in subparsers(top).items():
        options, positional = _actions(parser)
        lines.append(f"    {name})")
        lines.append('      case "$previous" in')
        for action in options:
            if action.nargs == 0:
                continue
            values = shlex.quote(" ".join(_words(action, names)))
            lines.append(f"        {'|'.join(action.option_strings)}) found={values}; value=1 ;;")
        lines.append("      esac")
        flags = " ".join(flag for action in options for flag in action.option_strings)
        for action in (action for action in options if action.nargs == "+"):  # one more value, or another option
            test = f'[[ -z "$value" && "$option" == {action.option_strings[0]} && "$current" != -* ]]'
            values = shlex.quote(" ".join([*_words(action, names), flags]))
            lines.append(f"      {test} && {{ found={values}; value=1; }}")
        first = " ".join(word for action in positional for word in _words(action, names))
        lines.append('      if [[ -z "$value" ]]; then')
        lines.append(f'        if [[ "$current" == -* ]]; then found={shlex.quote(flags)}')
        lines.append(f"        else found={shlex.quote(first)}; fi")
        lines.append("      fi ;;")
    options, _ = _actions(top)
    first = [*subparsers(top), *(flag for action in options for flag in action.option_strings)]
    lines.append(f"    *) found={shlex.quote(' '.join(first))} ;;")
    return "\n".join(lines)


def _words_before(words: str) -> str:
    """Lines that bash and zsh share: $command is the first of the words that is no option, $option the last that is."""
    return f"""\
  local word="" command="" option=""
  for word in {words}; do
    if [[ "$word" == -* ]]; then option="$word"; elif [[ -z "$command" ]]; then command="$word"; fi
  done"""


def _bash(top: argparse.ArgumentParser, names: dict[str, list[str]]) -> str:
    return f"""\
# bash completion of dcgan:  dcgan completion bash > ~/.local/share/bash-completion/completions/dcgan
_dcgan() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}" previous="${{COMP_WORDS[COMP_CWORD-1]}}" found="" value=""
{_words_before('"${COMP_WORDS[@]:1:COMP_CWORD-1}"')}
  case "$command" in
{_cases(top, names)}
  esac
  COMPREPLY=($(compgen -W "$found" -- "$current"))
}}
complete -o default -F _dcgan dcgan
"""


def _zsh(top: argparse.ArgumentParser, names: dict[str, list[str]]) -> str:
    # Functions named _… in a folder of $fpath are loaded when first asked for; the last line runs this one then.
    return f"""\
#compdef dcgan
# zsh completion of dcgan:  dcgan completion zsh > a folder of $fpath, as _dcgan
_dcgan() {{
  local current="${{words[CURRENT]}}" previous="${{words[CURRENT-1]}}" found="" value=""
{_words_before('"${words[@]:1:CURRENT-2}"')}
  case "$command" in
{_cases(top, names)}
  esac
  [[ -n "$found" ]] && compadd -- ${{=found}}
  [[ "$current" == -* ]] || _files
}}
_dcgan "$@"
"""


def _fish(top: argparse.ArgumentParser, names: dict[str, list[str]]) -> str:
    lines = ["# fish completion of dcgan:  dcgan completion fish > ~/.config/fish/completions/dcgan.fish"]
    help = {a.dest: a.help for a in _choices_help(top)}
    for name, parser in subparsers(top).items():
        first = "__fish_use_subcommand"
        lines.append(f"complete -c dcgan -n {first} -f -a {name} -d {_fish_text(help.get(name))}")
        here = f"'__fish_seen_subcommand_from {name}'"
        options, positional = _actions(parser)
        for action in options:
            flags = [f"-s {f[1:]}" if len(f) == 2 else f"-l {f[2:]}" for f in action.option_strings]
            words = _words(action, names)
            kind = "-x" if action.choices else "-r"  # a name or a file
            takes = "" if action.nargs == 0 else f" {kind} -a {_fish_text(' '.join(words))}" if words else " -r"
            lines.append(f"complete -c dcgan -n {here} {' '.join(flags)}{takes} -d {_fish_text(action.help)}")
        for action in positional:
            if words := _words(action, names):
                lines.append(f"complete -c dcgan -n {here} -a {_fish_text(' '.join(words))}")
    return "\n".join(lines) + "\n"


def _choices_help(top: argparse.ArgumentParser) -> list[argparse.Action]:
    """The commands with their one-line help."""
    return next(a for a in top._actions if isinstance(a, argparse._SubParsersAction))._choices_actions


def _fish_text(text: str | None) -> str:
    text = (text or "").replace("%%", "%").replace("\\", "\\\\").replace("'", "\\'")
    return f"'{text}'"
