"""Run the core of the tests with the oldest and the newest supported versions, and with every Python found.

From the project's folder: .venv/bin/python scripts/matrix.py [--only oldest|newest] [--python PATH ...].
Oldest: each run-time dependency at the lower bound of pyproject.toml, with the oldest Python. Newest:
the present versions of the package index, with every Python found: python3.11, python3.12 and so on, on the
PATH or under pyenv, or those named. Prints a table and writes benchmarks/results/matrix.json. The exit code
is 1 if any test failed.

Unlike make test, this script does not check signatures, and warnings are not errors: old versions of
dependencies warn of each other.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "matrix.json"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CORE = ("oracles", "couplings", "control", "noise", "generation", "store", "data", "cli")
"""Test files that cover the core: physics, training, drawing, files, commands."""
SHOWN = ("jax", "equinox", "numpy", "scipy")
ASKED = """
import importlib.metadata, json, platform, sys
print(json.dumps([platform.python_version(), *map(importlib.metadata.version, sys.argv[1:])]))
"""
TOOLS = ("pytest>=9", "pytest-xdist>=3.6", "hypothesis>=6.120", "beartype>=0.20")
TESTED = ("-o", "addopts=-q --strict-markers -n 2 --dist worksteal", "-o", "filterwarnings=default")


def interpreters() -> dict[tuple[int, int], str]:
    """The Python found for every version from the oldest supported one, by version."""
    least = tuple(int(part) for part in re.findall(r"\d+", PROJECT["requires-python"]))
    names = [f"python3.{minor}" for minor in range(least[1], least[1] + 8)]
    found = [path for name in names if (path := shutil.which(name))]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found += [sys.executable, *map(str, sorted(pyenv.glob("3.*/bin/python")))]
    known: dict[tuple[int, int], str] = {}
    for path in found:
        said = subprocess.run(
            [path, "-c", "import sys; print(*sys.version_info[:2])"],
            capture_output=True,
            text=True,
            check=False,
        )
        # The shims of pyenv are there for versions that are not switched on: they end with an error.
        if said.returncode == 0:
            version = tuple(int(part) for part in said.stdout.split())
            if version >= least:
                known.setdefault(version, path)
    return dict(sorted(known.items()))


def wanted(kind: str) -> list[str]:
    """Requirements for pip: lower bounds as they are, or as exact versions."""
    bounds = PROJECT["dependencies"] + PROJECT["optional-dependencies"]["hardware"]
    return [one.replace(">=", "==") if kind == "oldest" else one for one in bounds]


def run_one(kind: str, python: str, where: Path, files: list[str]) -> dict:
    """Make the environment, install, test, and return the results."""
    begun = time.perf_counter()
    subprocess.run([python, "-m", "venv", str(where)], check=True)
    mine = str(where / "bin" / "python")
    quiet = ("--quiet", "--quiet", "--disable-pip-version-check")
    # JAX and jaxlib go together: an old jax beside a newer jaxlib is no combination that anybody uses.
    together = [one.replace("jax==", "jaxlib==") for one in wanted(kind) if one.startswith("jax==")]
    subprocess.run([mine, "-m", "pip", "install", *quiet, *wanted(kind), *together, *TOOLS], check=True)
    subprocess.run([mine, "-m", "pip", "install", *quiet, "--no-deps", str(ROOT)], check=True)
    installed = time.perf_counter() - begun
    versions = json.loads(
        subprocess.run([mine, "-c", ASKED, *SHOWN], capture_output=True, text=True, check=True).stdout
    )
    done = subprocess.run(
        [mine, "-m", "pytest", *TESTED, *files], cwd=ROOT, capture_output=True, text=True, check=False
    )
    counts = {word: int(n) for n, word in re.findall(r"(\d+) (passed|failed|skipped|error)", done.stdout)}
    if done.returncode:
        print(done.stdout[-6000:], done.stderr[-2000:], sep="\n")
    return {
        "kind": kind,
        "versions": dict(zip(("python", *SHOWN), versions, strict=True)),
        **{word: counts.get(word, 0) for word in ("passed", "failed", "skipped", "error")},
        "ended": done.returncode,
        "seconds": {"install": round(installed), "tests": round(time.perf_counter() - begun - installed)},
    }


def main() -> None:
    """Test every combination and write the table and the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", choices=("oldest", "newest"), help="only these versions")
    parser.add_argument("--python", nargs="+", help="interpreters to take instead of those found")
    parser.add_argument("--tests", nargs="+", default=CORE, help="names of test files, without test_ and .py")
    parser.add_argument("--keep", type=Path, help="folder for the environments (default: thrown away)")
    asked = parser.parse_args()
    files = [f"tests/test_{name}.py" for name in asked.tests]
    pythons = asked.python or list(interpreters().values())
    jobs = [("oldest", pythons[0])] + [("newest", python) for python in pythons]
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.keep or Path(temporary)
        for number, (kind, python) in enumerate(jobs):
            if asked.only in (None, kind):
                row = run_one(kind, python, folder / f"{kind}-{number}", files)
                rows.append(row)
                print(line(row), flush=True)
    print("", line(None), *map(line, rows), sep="\n")
    if asked.only is None and asked.python is None and tuple(asked.tests) == CORE:
        RESULTS.write_text(json.dumps({"tests": list(asked.tests), "rows": rows}, indent=2) + "\n")
    sys.exit(any(row["ended"] for row in rows))


def line(row: dict | None) -> str:
    """A row of a Markdown table, or its head."""
    if row is None:
        names = ("", "Python", *SHOWN, "passed", "failed", "skipped", "seconds")
        return f"| {' | '.join(names)} |\n|{'---|' * len(names)}"
    seconds = f"{row['seconds']['install']} + {row['seconds']['tests']}"
    values = (*row["versions"].values(), row["passed"], row["failed"] + row["error"], row["skipped"], seconds)
    return f"| {row['kind']} | {' | '.join(map(str, values))} |"


if __name__ == "__main__":
    main()
