"""Write the page docs/commands.md from the help texts of the `thermogen` command.

Usage: python scripts/make_commands.py [--check]

--check writes nothing and exits with 1 when the page differs from the help texts.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.main import get_command

from thermogen.cli.app import application

PAGE = Path(__file__).parent.parent / "docs" / "commands.md"
REMEDY = "docs/commands.md differs from the help texts: run python scripts/make_commands.py"
OF_EVERY_COMMAND = {"--help", "--install-completion", "--show-completion"}
HEAD = """# Commands

`thermogen COMMAND --help` prints the text of each section. `python scripts/make_commands.py` writes this page
from the help texts.
"""


def page() -> str:
    """The page: a list of all commands, then a section for each."""
    root = get_command(application())
    commands = [(words, command) for words, command in walk(root, ("thermogen",)) if leads_to_work(command)]
    lines = [HEAD, "| command | purpose |", "|---|---|"]
    for words, command in commands:
        name = " ".join(words[1:])
        lines.append(f"| [`{name}`](#{'-'.join(words)}) | {cell(prose(command).split(chr(10))[0])} |")
    lines += ["", "Options before the command:", "", *options(root)]
    for words, command in commands:
        lines += ["", *section(words, command)]
    return "\n".join(lines) + "\n"


def walk(command: Any, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """A command and all commands inside it, with the words that call them."""
    yield words, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from walk(inner, (*words, name))


def leads_to_work(command: Any) -> bool:
    """True for a command that runs, False for a group of commands."""
    return not getattr(command, "commands", {}) and not command.hidden


def section(words: tuple[str, ...], command: Any) -> list[str]:
    """The section of a command: its text, arguments, options and examples."""
    lines = [f"## {' '.join(words)}", "", prose(command)]
    arguments = [given for given in command.params if given.param_type_name == "argument"]
    if arguments:
        lines += ["", "| argument | meaning |", "|---|---|"]
        for argument in arguments:
            name = argument.metavar or argument.name.upper()
            optional = "" if argument.required else " (optional)"
            lines.append(f"| `{name}`{optional} | {cell(argument.help)} |")
    if shown_options(command):
        lines += ["", *options(command)]
    examples = [line.strip() for line in parts(command)[1].splitlines() if line.strip()]
    if examples:
        lines += ["", "```sh", *examples, "```"]
    return lines


def parts(command: Any) -> tuple[str, str]:
    """The help text before its examples, and the examples."""
    before, _, after = (command.help or "").partition("\nExample")
    return before.strip(), after.partition("\n")[2]


def prose(command: Any) -> str:
    """The help text before its examples; a paragraph a line, indented lines as they stand."""
    paragraphs = re.split(r"\n\s*\n", parts(command)[0].replace("\b", ""))
    joined = [text if text.startswith("    ") else " ".join(text.split()) for text in paragraphs if text]
    return "\n\n".join(joined)


def shown_options(command: Any) -> list[Any]:
    """The options of a command, without those that every command has."""
    return [
        option
        for option in command.params
        if option.param_type_name == "option"
        and not option.hidden
        and not OF_EVERY_COMMAND & set(option.opts)
    ]


def options(command: Any) -> list[str]:
    """The table of options, in the groups of the help."""
    groups: dict[str, list[Any]] = {}
    for option in shown_options(command):
        groups.setdefault(getattr(option, "rich_help_panel", None) or "", []).append(option)
    lines = ["| option | default | meaning |", "|---|---|---|"]
    for title, held in groups.items():
        lines += [f"| *{cell(title)}* | | |"] if title else []
        lines += [f"| {names(option)} | {default(option)} | {cell(option.help)} |" for option in held]
    return lines


def names(option: Any) -> str:
    """The names of an option, with that of its opposite."""
    value = "" if option.is_flag or not option.metavar else f" {option.metavar}"
    return ", ".join(f"`{name}{value}`" for name in [*option.opts, *option.secondary_opts])


def default(option: Any) -> str:
    """The default of an option, or that it is required."""
    value = option.default
    if option.required:
        return "required"
    if isinstance(value, bool) or not isinstance(value, str | int | float | Path) or value == "":
        return ""
    return f"`{value}`"


def cell(text: str | None) -> str:
    """Text as a cell of a table."""
    return " ".join((text or "").split()).replace("|", "\\|")


def main(arguments: list[str]) -> int:
    """Write the page, or compare it with the help texts."""
    if unknown := set(arguments) - {"--check"}:
        print(f"unknown argument {sorted(unknown)[0]!r}: the only one is --check", file=sys.stderr)
        return 2
    text = page()
    if not arguments:
        PAGE.write_text(text)
        return 0
    if PAGE.exists() and PAGE.read_text() == text:
        return 0
    print(REMEDY, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
