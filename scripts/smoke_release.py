"""Build the release and test it from outside: sdist, wheel, empty environments, real commands.

From the project's folder: .venv/bin/python scripts/smoke_release.py [--only wheel|sdist] [--keep FOLDER].
The sdist is built from the checkout and the wheel from the sdist. Their contents are compared with the
sources. Then each is installed with constraints.txt into an empty environment and tested in an empty
folder: version, help, every public name, samples of a shipped model, a small training and its samples.
The script stops at the first error.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
import tomllib
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NEEDED = (
    "py.typed",
    "__init__.pyi",
    "shipped/datasets/digits.npz",
    "shipped/datasets/lenet.safetensors",
    "hardware/records.toml",
    "ledger/parameters.toml",
    "shipped/models/three-digits/model.safetensors",
    "shipped/models/ten-digits/card.json",
    "shipped/models/published/card.json",
    "report/run.html.jinja",
    "report/style.css",
    "studio/static/index.html",
    "studio/static/main.js",
    "studio/static/studio.css",
)
"""Files of the package besides modules, one or more of every kind."""
IN_SDIST = (
    "tests/conftest.py",
    "docs/physics.md",
    "docs/conf.py",
    "docs/_site/names.py",
    "docs/notebooks/01-noise-becomes-a-digit.py",
    "docs/notebooks/01-noise-becomes-a-digit.ipynb",
    "benchmarks/README.md",
    "scripts/smoke_release.py",
    "tools/train_classifier.py",
    "constraints.txt",
    "Makefile",
    "CITATION.cff",
    "CHANGELOG.md",
    "LICENSE",
)
NAMES = """
import sys
import thermogen as tg
for name in tg.__all__:
    getattr(tg, name)
assert tg.__version__ == sys.argv[1], tg.__version__
assert "site-packages" in tg.__file__, tg.__file__
print(len(tg.__all__), "public names")
"""
COUNT = """
import sys
import numpy as np
drawn = np.load(sys.argv[1])["visible"]
print(len(drawn), np.isfinite(drawn).all())
"""
PAGE = """
import re, signal, subprocess, sys, urllib.request
words = [sys.argv[1], "studio", "--no-open", "--port", "0"]
with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as studio:
    address = re.search(r"http://\\S+", studio.stdout.readline()).group()
    for name in ("", "static/main.js", "static/studio.css", "status"):
        assert urllib.request.urlopen(address + name).status == 200, name
    studio.send_signal(signal.SIGINT)
assert studio.returncode == 0, studio.returncode
"""
IMAGES = """
import numpy as np
np.savez("two.npz", images=np.array([np.eye(4), 1 - np.eye(4)]), labels=np.arange(2))
"""


def build(out: Path) -> tuple[Path, Path]:
    """The wheel, built from the sdist, and the sdist."""
    run(sys.executable, "-m", "build", "--outdir", str(out), str(ROOT))
    (wheel,), (sdist,) = out.glob("*.whl"), out.glob("*.tar.gz")
    return wheel, sdist


def sources() -> set[str]:
    """Files of the package that a release must hold: those in git, or all files of a tree without git."""
    folder = ROOT / "src"
    if (ROOT / ".git").exists():
        said = run("git", "-C", str(ROOT), "ls-files", "src/thermogen", quiet=True)
        return {name.removeprefix("src/") for name in said.split("\n") if name and (ROOT / name).exists()}
    found = (path for path in (folder / "thermogen").rglob("*") if path.is_file())
    return {str(path.relative_to(folder)) for path in found if path.suffix != ".pyc"}


def check_contents(wheel: Path, sdist: Path) -> None:
    """Check that the wheel holds the package alone, and the sdist also build, tests and docs."""
    known = sources()
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    missing, strange = sorted(known - names), sorted(names - known)
    expect(not missing, f"the wheel lacks {missing}")
    expect(not strange, f"the wheel holds what is no part of the package: {strange}")
    lost = [name for name in NEEDED if f"thermogen/{name}" not in names]
    expect(not lost, f"the wheel lacks {lost}")
    with tarfile.open(sdist) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    lost = [name for name in IN_SDIST if name not in inside] + sorted(known - {n[4:] for n in inside})
    expect(not lost, f"the sdist lacks {lost}")
    strange = [
        name for name in inside if "__pycache__" in name or name.startswith(("docs/_build", ".venv", "runs"))
    ]
    expect(not strange, f"the sdist holds {strange[:5]}")
    print(f"wheel: {len(names)} files, {size(wheel)}; sdist: {len(inside)} files, {size(sdist)}")


def try_out(package: Path, where: Path) -> None:
    """Install into an empty environment and test from an empty folder."""
    begun = time.perf_counter()
    environment, folder = where / "environment", where / "empty"
    folder.mkdir(parents=True)
    venv.create(environment, with_pip=True)
    binaries = environment / ("Scripts" if os.name == "nt" else "bin")
    python, thermogen = str(binaries / "python"), str(binaries / "thermogen")
    pip = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    run(python, *pip, "--constraint", str(ROOT / "constraints.txt"), str(package))
    installed = time.perf_counter() - begun

    def say(*words: str) -> str:
        return run(*words, cwd=folder, quiet=True)

    version = say(thermogen, "--version")
    expect(version == f"thermogen {PROJECT['version']}", f"--version says {version!r}")
    said = say(thermogen, "--help")
    expect(all(word in said for word in ("reproduce", "train", "sample", "ledger")), f"--help says {said!r}")
    print(say(python, "-c", NAMES, PROJECT["version"]))
    say(thermogen, "sample", "three-digits", "--count", "3", "--dt", "0.01", "--out", "digits.npz")
    expect(say(python, "-c", COUNT, "digits.npz") == "3 True", "no three finite samples of a shipped model")
    say(python, "-c", IMAGES)
    say(thermogen, "train", "--images", "two.npz", "--hidden", "4", "--dt", "0.01", "--out", "model")
    card = json.loads((folder / "model" / "card.json").read_text())
    expect(card["versions"]["thermogen"] == PROJECT["version"], f"the card says {card['versions']}")
    say(thermogen, "sample", "model", "--count", "2", "--out", "patterns.png")
    expect((folder / "patterns.png").stat().st_size > 100, "no picture was drawn")
    say(thermogen, "ledger", "--write-parameters", "prices.toml")
    without = subprocess.run([thermogen, "studio"], cwd=folder, capture_output=True, text=True, check=False)
    expect(without.returncode == 2, f"the studio without its extra ends with {without.returncode}")
    expect("pip install 'thermogen[studio]'" in without.stderr, f"it says {without.stderr!r}")
    run(python, *pip, "--constraint", str(ROOT / "constraints.txt"), f"{package}[studio]")
    say(python, "-c", PAGE, thermogen)
    took = time.perf_counter() - begun
    print(f"{package.name}: installed in {installed:.0f} s, tried in {took - installed:.0f} s")


def run(*words: str, cwd: Path | None = None, quiet: bool = False) -> str:
    """The output of a command. If the command fails, print its output and exit."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        words, cwd=cwd, env=clean, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    expect(
        done.returncode == 0, f"{' '.join(words[:6])} ended with {done.returncode}:\n{done.stdout[-3000:]}"
    )
    return done.stdout.strip()


def expect(true: bool, otherwise: str) -> None:
    """Exit with a message unless the condition holds."""
    if not true:
        sys.exit(f"release: {otherwise}")


def size(path: Path) -> str:
    """Megabytes."""
    return f"{path.stat().st_size / 1e6:.1f} MB"


def main() -> None:
    """Build, check, try."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", choices=("wheel", "sdist"), help="try only one of them")
    parser.add_argument("--keep", type=Path, help="folder for the built files (default: thrown away)")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        out = asked.keep or Path(temporary) / "dist"
        out.mkdir(parents=True, exist_ok=True)
        wheel, sdist = build(out)
        check_contents(wheel, sdist)
        for kind, package in (("wheel", wheel), ("sdist", sdist)):
            if asked.only in (None, kind):
                try_out(package, Path(temporary) / kind)
    print("release: all as it should be")


if __name__ == "__main__":
    main()
