"""What the pages name: documented objects, links from a page to a function, links between pages.

Pages are read in two places. On a Git host a link such as
`[log_ratio](../src/thermogen/thermodynamics/path.py#log_ratio)` opens the source; on the site the same link
leads to the entry of that function in the API.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

DOCS = Path(__file__).parents[1]
ROOT = DOCS.parent
SOURCE = ROOT / "src"

ADOPTED = {"contributing": "CONTRIBUTING.md", "changes": "CHANGELOG.md"}
"""Pages of the site whose text is a file of the project's folder."""

DIRECTIVE = re.compile(r"^\.\. (?:auto(?:class|function|exception)|py:data):: (\S+)", re.MULTILINE)
_FENCED = re.compile(r"^(?P<fence>`{3,}|~{3,}).*?^(?P=fence)\s*$|`[^`\n]+`", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?P<image>!?)\[(?P<text>(?:[^\[\]]|\[[^\[\]]*\])*)\]\((?P<target>[^()\s]+)\)")


class Link(NamedTuple):
    """A Markdown link: whether it is an image, its text, its target, and where it stands in the page."""

    image: bool
    text: str
    target: str
    start: int
    end: int


def links(text: str) -> Iterator[Link]:
    """The links of a page that stand in its text; those in code are not meant to be followed."""
    code = [found.span() for found in _FENCED.finditer(text)]
    for found in _LINK.finditer(text):
        if not any(start <= found.start() < end for start, end in code):
            yield Link(bool(found["image"]), found["text"], found["target"], *found.span())


@cache
def documented() -> dict[str, str]:
    """Every name that the API documents, and the page that does."""
    pages = sorted((DOCS / "api").glob("*.md"))
    return {name: page.stem for page in pages for name in DIRECTIVE.findall(page.read_text())}


def found(dotted: str) -> Any:
    """The object of a dotted name that begins with a package; AttributeError if there is none.

    Where a room holds a function and a module of one name, `training.exact.statistics` is the function and
    `training.exact.statistics.Statistics` is what the module holds.
    """
    first, *rest = dotted.split(".")
    try:
        held = import_module(first)
        for name in rest:
            held = _member(held, name)
        return held
    except AttributeError:
        for cut in range(len(rest), 0, -1):
            try:
                held = import_module(".".join([first, *rest[:cut]]))
            except ModuleNotFoundError:
                continue
            for name in rest[cut:]:
                held = _member(held, name)
            return held
        raise


def _member(held: Any, name: str) -> Any:
    # A field of a record without a default is no attribute of its class.
    fields = vars(held).get("__annotations__", {}) if isinstance(held, type) else {}
    return fields[name] if name in fields and not hasattr(held, name) else getattr(held, name)


@cache
def _documented_by_object() -> dict[int, str]:
    named = {name: found(name) for name in documented()}
    return {id(one): name for name, one in sorted(named.items(), key=lambda pair: -len(pair[0]))}


def entry(dotted: str) -> str | None:
    """The name under which the API documents an object; that of its class and its own for a member."""
    if dotted in documented():
        return dotted
    name = _documented_by_object().get(id(found(dotted)))
    if name is not None:
        return name
    owner, _, member = dotted.rpartition(".")
    if isinstance(found(owner), type):
        outer = entry(owner)
        return outer and _within(outer, member)
    return None


def _within(outer: str, member: str) -> str:
    """The entry of a member: its own if it has a docstring, as methods and properties do, or its class."""
    held = getattr(found(outer), member, None)
    own = isinstance(held, property) or callable(held)
    return f"{outer}.{member}" if own and held.__doc__ else outer


def of_source(target: str, folder: Path) -> str | None:
    """The dotted name that a link into the source means, e.g. '../src/thermogen/computer.py#Computer'."""
    path, _, name = target.partition("#")
    file = (folder / path).resolve()
    if not name or not file.is_relative_to(SOURCE) or file.suffix != ".py":
        return None
    module = ".".join(file.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")
    return f"{module}.{name}"


def on_site(text: str, folder: Path) -> str:
    """A page with its links as the site needs them; those to files that are not on the site are dropped."""
    replaced = []
    for link in links(text):
        if link.target.startswith(("http:", "https:", "#", "mailto:")):
            continue
        whole = text[link.start : link.end]
        replaced.append((link, _site_link(link, whole, folder)))
    for link, instead in reversed(replaced):
        text = text[: link.start] + instead + text[link.end :]
    return text


def _site_link(link: Link, whole: str, folder: Path) -> str:
    dotted = of_source(link.target, folder)
    if dotted is not None:
        return f"[{link.text}](#{entry(dotted) or dotted})"
    path, mark, anchor = link.target.partition("#")
    file = (folder / path).resolve()
    if file.is_relative_to(DOCS) and file.is_file():
        inside = file.relative_to(DOCS).as_posix()
        return whole if folder.is_relative_to(DOCS) else whole.replace(link.target, inside + mark + anchor)
    for page, adopted in ADOPTED.items():
        if file == ROOT / adopted:
            up = "../" * len(folder.relative_to(DOCS).parts) if folder.is_relative_to(DOCS) else ""
            return f"[{link.text}]({up}{page}.md{mark}{anchor})"
    return link.text


def resolver() -> Callable[[str], str | None]:
    """From names as docstrings have them, such as `Computer.energy` or `langevin.simulate`, to entries."""
    short: dict[str, str | None] = {}
    for name in documented():
        parts = name.split(".")
        for start in range(1, len(parts)):
            key = ".".join(parts[start:])
            short[key] = None if key in short else name

    def resolve(word: str) -> str | None:
        word = word.removeprefix("tg.").removesuffix("()")
        if not re.fullmatch(r"[A-Za-z_][\w.]*", word):
            return None
        full = word if word in documented() else short.get(word)
        if full is not None:
            return full
        owner, _, member = word.rpartition(".")
        outer = short.get(owner) if owner else None
        if outer is not None and isinstance(found(outer), type) and hasattr(found(outer), member):
            return _within(outer, member)
        return None

    return resolve
