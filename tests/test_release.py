"""What is released: one version everywhere, nothing heavy loaded before it is used, complete packages."""

import importlib.util
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

import thermogen as tg

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NUMBERS = {"jax", "jaxlib", "numpy", "scipy", "equinox", "optax", "safetensors"}
SCREENS = {"matplotlib", "PIL", "jinja2", "pint", "sklearn", "starlette", "uvicorn"}
HEAVY = NUMBERS | SCREENS


def script(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def loaded_by(code):
    """Packages that a program loads, by their first name."""
    ending = "\nimport sys; print(*sorted({name.partition('.')[0] for name in sys.modules}), sep='\\n')"
    done = subprocess.run([sys.executable, "-c", code + ending], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_version_is_one():
    stated = PROJECT["version"]
    assert version("thermogen") == tg.__version__ == stated
    citation = (ROOT / "CITATION.cff").read_text()
    assert re.search(r"^version: (.*)$", citation, re.MULTILINE).group(1) == stated
    changes = (ROOT / "CHANGELOG.md").read_text()
    newest = re.search(r"^## \[(\d+\.\d+\.\d+)\] - (\d{4}-\d{2}-\d{2})$", changes, re.MULTILINE)
    assert newest.group(1) == stated
    assert re.search(r"^date-released: (.*)$", citation, re.MULTILINE).group(1) == newest.group(2)


def test_import_loads_nothing_heavy():
    assert not HEAVY & loaded_by("import thermogen; thermogen.__version__; dir(thermogen)")


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["sample", "--help"], ["train", "--help"]])
def test_help_loads_nothing_heavy(words):
    code = f"""
import contextlib, io, sys
sys.argv = ["thermogen", *{words}]
from thermogen.cli import main
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    main()
"""
    assert not HEAVY & loaded_by(code)


def test_the_core_loads_no_plots_and_no_server():
    """Training and drawing need neither screens nor plots nor what belongs to an extra."""
    seen = loaded_by("import thermogen as tg; [getattr(tg, name) for name in tg.__all__]")
    assert {"jax", "equinox", "numpy"} <= seen
    assert not {"matplotlib", "jinja2", "typer", "rich", "pint", "sklearn", "starlette", "uvicorn"} & seen


def test_every_python_that_is_named_is_supported():
    named = {line.rpartition(" ")[2] for line in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", line)}
    assert f"{sys.version_info.major}.{sys.version_info.minor}" in named
    assert min(named, key=lambda one: int(one.partition(".")[2])) == PROJECT["requires-python"].removeprefix(
        ">="
    )


def test_lower_bounds_are_all_stated_and_pinned_versions_lie_above_them():
    pinned = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().split())
    pinned = {name.lower().replace("_", "-"): number for name, number in pinned.items()}
    for bound in PROJECT["dependencies"]:
        name, number = bound.split(">=")
        numbers = [[int(part) for part in one.split(".")[:3]] for one in (pinned[name], number)]
        assert numbers[0] >= numbers[1], bound


def test_no_syntax_is_newer_than_the_oldest_python():
    """Every module parses as the oldest supported Python reads it."""
    import ast

    oldest = tuple(int(part) for part in PROJECT["requires-python"].removeprefix(">=").split("."))
    for folder in ("src", "benchmarks", "scripts", "tools", "docs/notebooks"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            ast.parse(path.read_text(), str(path), feature_version=oldest)


def test_the_packages_hold_what_they_must_and_work_in_an_empty_environment(tmp_path):
    """The wheel that the sdist builds, installed where nothing else is, used from an empty folder."""
    pytest.importorskip("build")
    release = script("smoke_release")
    wheel, sdist = release.build(tmp_path / "dist")
    release.check_contents(wheel, sdist)
    with zipfile.ZipFile(wheel) as archive, tarfile.open(sdist) as sources:
        assert f"thermogen-{PROJECT['version']}.dist-info/METADATA" in archive.namelist()
        assert f"thermogen-{PROJECT['version']}/PKG-INFO" in sources.getnames()
    release.try_out(wheel, tmp_path / "wheel")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda names: names - {"thermogen/py.typed"}, "the wheel lacks"),
        (lambda names: names | {"thermogen/notes.txt"}, "the wheel holds what is no part"),
    ],
)
def test_an_incomplete_or_untidy_wheel_is_told(tmp_path, change, said):
    release = script("smoke_release")
    wheel, sdist = tmp_path / "t.whl", tmp_path / "t.tar.gz"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name in change(release.sources()):
            archive.writestr(name, "")
    with tarfile.open(sdist, "w:gz"):
        pass
    with pytest.raises(SystemExit, match=said):
        release.check_contents(wheel, sdist)


def test_oldest_versions_are_the_lower_bounds():
    matrix = script("matrix")
    oldest = matrix.wanted("oldest")
    assert set(PROJECT["dependencies"]) <= {one.replace("==", ">=") for one in oldest}
    assert all("==" in one for one in oldest)
    known = matrix.interpreters()
    assert sys.version_info[:2] in known
    assert all(found >= (3, 11) for found in known)
