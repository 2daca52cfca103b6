"""Measure the structure of the package: rooms, imports, dispatch by kind, public names, lines.

    python scripts/structure.py [--root src/thermogen]

`tests/test_structure.py` states the limits.
"""

from __future__ import annotations

import argparse
import ast
import re
from pathlib import Path

KINDS = (
    r"(?:\w*Couplings|Computer|Segments|PerClass|ConditionSet|SelectedNetwork|ModeTable|ModeNetwork|LabelFields"
    r"|Clamp|RampedField|Conditional|Conditioned|Hold|Steered)"
)
"""Kinds of control and of couplings, by their names now and in 1.0.0."""
OWN_ROOMS = ("control", "couplings", "computer.py")
"""Where telling kinds apart is nobody else's business."""


def sources(root: Path) -> list[Path]:
    """The source files of the package."""
    return sorted(root.rglob("*.py"))


def lines(root: Path) -> int:
    """Lines of source."""
    return sum(len(file.read_text().splitlines()) for file in sources(root))


def entries(root: Path) -> list[str]:
    """The entries directly under the package, except `__init__` and similar files."""
    names = (entry.name for entry in root.iterdir())
    return sorted(name for name in names if not name.startswith("__"))


def kind_checks(root: Path) -> list[str]:
    """Every `isinstance` on a kind of control or couplings outside the rooms of both."""
    found = []
    for file in sources(root):
        place = file.relative_to(root)
        if place.parts[0] in OWN_ROOMS:
            continue
        text = file.read_text()
        for match in re.finditer(r"isinstance\((?:[^()]|\([^()]*\))*?,\s*([^()]*?)\)", text):
            if re.search(rf"\b{KINDS}\b", match[1]):
                found.append(f"{place}:{text[: match.start()].count(chr(10)) + 1}")
    return found


def untyped_controls(root: Path) -> list[str]:
    """Every control declared as `Any`."""
    found = []
    for file in sources(root):
        for number, line in enumerate(file.read_text().splitlines(), 1):
            if re.search(r"\bcontrol: Any\b", line):
                found.append(f"{file.relative_to(root)}:{number}")
    return found


def public_names(root: Path) -> list[str]:
    """The names of the package itself."""
    tree = ast.parse((root / "__init__.pyi").read_text())
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return ast.literal_eval(node.value)
    return []


def imports(root: Path) -> dict[str, set[str]]:
    """The modules that each module imports at its top, without imports inside functions."""
    modules = {}
    for file in sources(root):
        parts = file.relative_to(root).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        modules[name] = file
    graph: dict[str, set[str]] = {}
    for name, file in modules.items():
        graph[name] = set()
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("thermogen"):
                base = (node.module or "").removeprefix("thermogen").lstrip(".")
                for alias in node.names:
                    inner = f"{base}.{alias.name}".lstrip(".")
                    graph[name].add(inner if inner in modules else base)
    return {name: {other for other in found if other in modules} for name, found in graph.items()}


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Groups of modules that import each other, except a package and its own modules."""
    order: list[str] = []
    seen: set[str] = set()

    def visit(name: str, into: list[str], edges: dict[str, set[str]]) -> None:
        stack = [(name, iter(sorted(edges[name])))]
        seen.add(name)
        while stack:
            current, rest = stack[-1]
            following = next((other for other in rest if other not in seen), None)
            if following is None:
                into.append(current)
                stack.pop()
            else:
                seen.add(following)
                stack.append((following, iter(sorted(edges[following]))))

    plain = {
        name: {other for other in found if not name.startswith(f"{other}.")} for name, found in graph.items()
    }
    for name in plain:
        if name not in seen:
            visit(name, order, plain)
    backwards: dict[str, set[str]] = {name: set() for name in plain}
    for name, found in plain.items():
        for other in found:
            backwards[other].add(name)
    seen.clear()
    groups = []
    for name in reversed(order):
        if name not in seen:
            group: list[str] = []
            visit(name, group, backwards)
            groups.append(group)
    return [sorted(group) for group in groups if len(group) > 1]


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--root", type=Path, default=Path("src/thermogen"))
    parser.add_argument("--where", action="store_true", help="name every place that is counted")
    given = parser.parse_args()
    counted = {
        "source files": [str(file) for file in sources(given.root)],
        "entries under the package": entries(given.root),
        "isinstance on kinds of control and couplings": kind_checks(given.root),
        "control: Any": untyped_controls(given.root),
        "public names": public_names(given.root),
        "import circles": [" ".join(group) for group in circles(imports(given.root))],
    }
    print(f"{'source lines':46}{lines(given.root):7,}")
    for name, found in counted.items():
        print(f"{name:46}{len(found):7,}")
        if given.where and name != "source files":
            for place in found:
                print(f"    {place}")


if __name__ == "__main__":
    main()
