"""The limits of the house: rooms, imports, dispatch by kind, names at the top."""

import inspect
import re
from pathlib import Path

import pytest

import thermogen as tg
from structure import circles, entries, imports, kind_checks, public_names, untyped_controls

PACKAGE = Path(tg.__file__).parent
ROOT = Path(__file__).parent.parent


def test_the_hall_has_few_doors():
    assert len(entries(PACKAGE)) <= 24


def test_the_layers_name_every_room():
    layers = (ROOT / "pyproject.toml").read_text().split("layers = [")[1]
    rooms = {name.removesuffix(".py") for name in entries(PACKAGE) if name not in ("py.typed", "shipped")}
    assert rooms <= set(re.findall(r"thermogen\.(\w+)", layers))


def test_the_page_of_architecture_names_every_room():
    table = (ROOT / "docs" / "architecture.md").read_text()
    rooms = [name.removesuffix(".py") for name in entries(PACKAGE) if name != "py.typed"]
    assert [room for room in rooms if f"`{room}`" not in table] == []


def test_no_modules_import_each_other():
    assert circles(imports(PACKAGE)) == []


def test_circles_are_found():
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}
    assert circles(graph) == [["a", "b", "c"]]


def test_few_rooms_ask_which_kind_a_control_or_couplings_are():
    assert len(kind_checks(PACKAGE)) <= 45
    assert untyped_controls(PACKAGE) == []


def test_a_check_of_a_kind_is_counted(tmp_path):
    (tmp_path / "room.py").write_text(
        "isinstance(x, Segments)\nisinstance(f(y), int | PerClass)\nisinstance(x, str)\ncontrol: Any = x\n"
    )
    assert kind_checks(tmp_path) == ["room.py:1", "room.py:2"]
    assert untyped_controls(tmp_path) == ["room.py:4"]


def test_few_names_stand_at_the_top():
    assert len(public_names(PACKAGE)) <= 42
    assert sorted(tg.__all__) == sorted(public_names(PACKAGE))


@pytest.mark.parametrize("name", public_names(PACKAGE))
def test_every_name_at_the_top_is_there_and_says_what_it_is(name):
    assert inspect.getdoc(getattr(tg, name))
