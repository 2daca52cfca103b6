"""Docstrings are plain text: indented lines are equations or code, words in backticks are names."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from names import resolver

_CODE = re.compile(r"``(.+?)``|`([^`]+)`")
_WHERE = re.compile(r"\b(?:jaxlib\._jax|jaxtyping|jax)\.(?=[A-Z])")
_INDENTED = re.compile(r"^ {3,}\S")


def _words(text: str) -> str:
    return re.sub(r"([\\*|_`])", r"\\\1", text)


def text_as_rst(line: str, resolve: Callable[[str], str | None]) -> str:
    """One line of prose: names become links where the API has them, code otherwise; the rest is escaped."""
    parts, last = [], 0
    for code in _CODE.finditer(line):
        word = code[1] or code[2]
        full = resolve(word)
        parts.append(_words(line[last : code.start()]))
        parts.append(f":py:obj:`{word} <{full}>`" if full else f"``{word}``")
        last = code.end()
        if line[last : last + 1].isalnum():
            parts.append("\\ ")
    return "".join([*parts, _words(line[last:])])


def as_rst(lines: list[str], resolve: Callable[[str], str | None]) -> list[str]:
    """A docstring as reStructuredText."""
    made: list[str] = []
    literal = False
    for line in lines:
        if _INDENTED.match(line):
            if not literal:
                made += ["", "::", ""]
            literal = True
            made.append(line)
        elif not line.strip():
            made.append("")
        else:
            if literal:
                made.append("")
            literal = False
            made.append(text_as_rst(line, resolve))
    return made


def setup(app: Any) -> dict[str, Any]:
    """Read every docstring so."""
    resolve = resolver()

    def process(app: Any, what: str, name: str, held: Any, options: Any, lines: list[str]) -> None:
        lines[:] = as_rst(lines, resolve)

    def shorten(app: Any, what: str, name: str, held: Any, options: Any, signature: Any, returns: Any) -> Any:
        return tuple(one and _WHERE.sub("", one) for one in (signature, returns))

    def skip(app: Any, what: str, name: str, held: Any, skipped: bool, options: Any) -> bool | None:
        # What a named tuple says of each of its fields.
        return True if str(getattr(held, "__doc__", "")).startswith("Alias for field number") else None

    app.connect("autodoc-process-docstring", process)
    app.connect("autodoc-process-signature", shorten)
    app.connect("autodoc-skip-member", skip)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
