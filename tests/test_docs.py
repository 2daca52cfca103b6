"""The documentation: links, equations, names, commands, pictures and examples, held against the code."""

import ast
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from typer.main import get_command

import thermogen as tg
from thermogen.cli.app import application

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(
    page
    for page in [*ROOT.glob("*.md"), *DOCS.rglob("*.md"), ROOT / "benchmarks" / "README.md"]
    if "_build" not in page.parts
)
SHELLS = {"cli", "report", "shipped", "studio"}
"""Rooms whose content is no interface: the command line, the live page, reports, data."""


@pytest.fixture(scope="module", autouse=True)
def _tools():
    sys.path[:0] = [str(DOCS / "_site"), str(ROOT / "scripts"), str(ROOT)]
    yield
    del sys.path[:3]


def name_of(page):
    return page.relative_to(ROOT).as_posix()


def anchors(page):
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    for heading in re.findall(r"^#+ +(.*)$", text, re.MULTILINE):
        yield re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


# --- links -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page):
    from names import found, links, of_source

    for link in links(page.read_text()):
        if link.target.startswith(("http:", "https:", "mailto:")):
            continue
        path, _, anchor = link.target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), link.target
        dotted = of_source(link.target, page.parent)
        if dotted is not None:
            assert found(dotted) is not None
        elif anchor:
            assert anchor in set(anchors(file)), link.target


def test_a_link_to_a_function_that_does_not_exist_is_found_out():
    from names import found, of_source

    real, wrong = (
        "../src/thermogen/thermodynamics/path.py#log_ratio",
        "../src/thermogen/thermodynamics/path.py#log_ration",
    )
    assert found(of_source(real, DOCS)) is tg.thermodynamics.log_ratio
    with pytest.raises(AttributeError):
        found(of_source(wrong, DOCS))
    assert (
        of_source("../src/thermogen/computer.py#Computer.energy", DOCS)
        == "thermogen.computer.Computer.energy"
    )


def test_links_lead_to_the_entries_of_the_api_on_the_site():
    from names import on_site

    text = (
        "[`r`](../src/thermogen/thermodynamics/path.py#log_ratio), [C](../CONTRIBUTING.md#tests), "
        "[raw](../benchmarks/results/), [p](physics.md#7-noise), [web](https://arxiv.org), `[no](link.md)`, "
        "[m](../src/thermogen/langevin/stability.py#stable_dt)"
    )
    assert on_site(text, DOCS) == (
        "[`r`](#thermogen.thermodynamics.log_ratio), [C](contributing.md#tests), raw, "
        "[p](physics.md#7-noise), [web](https://arxiv.org), `[no](link.md)`, [m](#thermogen.stable_dt)"
    )
    assert (
        on_site("[p](docs/physics.md) [C](CONTRIBUTING.md)", ROOT) == "[p](physics.md) [C](contributing.md)"
    )


# --- equations -------------------------------------------------------------------------------------------

EQUATIONS = ("physics", "exact-training", "online-training", "energy", "tolerance", "all-classes", "hardware")
EQUATIONS += ("studio",)


@pytest.mark.parametrize("name", EQUATIONS)
def test_every_equation_names_its_function_or_says_why_there_is_none(name):
    from names import links, of_source

    text = (DOCS / f"{name}.md").read_text()
    shown = list(re.finditer(r"^ *\$\$.*?\$\$[^\n]*$", text, re.DOTALL | re.MULTILINE))
    assert shown
    ends = [one.start() for one in shown[1:]] + [len(text)]
    for equation, end in zip(shown, ends, strict=True):
        after = re.findall(r"^(Computed by|Not computed)(.*)$", text[equation.end() : end], re.MULTILINE)
        assert len(after) == 1, equation[0]
        how, rest = after[0]
        named = [of_source(link.target, DOCS) for link in links(rest)]
        assert any(named) if how == "Computed by" else len(rest.split()) > 4, equation[0]


def test_no_page_has_equations_that_are_not_looked_at():
    with_equations = {
        page.stem
        for page in DOCS.glob("*.md")
        if re.search(r"^ *\$\$", page.read_text(), re.MULTILINE) and page.stem != "extend"
    }
    assert with_equations == set(EQUATIONS)


def test_equations_become_mathml_and_what_is_not_understood_is_told():
    from mathml import as_mathml

    shown = as_mathml(r"\frac12 \tilde P_\theta", block=True)
    assert "<mfrac><mn>1</mn><mn>2</mn></mfrac>" in shown
    assert 'class="bar"' in as_mathml(r"\overline{a b}", block=False)
    with pytest.raises(ValueError, match=r"\\nonsense is not understood"):
        as_mathml(r"\nonsense{x}", block=False)


# --- names -----------------------------------------------------------------------------------------------


def rooms():
    for found in pkgutil.iter_modules(tg.__path__):
        if found.name not in SHELLS and not found.name.startswith("_"):
            yield found.name
    yield "noising.moments"
    for folder in ("storage", "studies"):
        for found in pkgutil.iter_modules(importlib.import_module(f"thermogen.{folder}").__path__):
            yield f"{folder}.{found.name}"


def names_of(room):
    module = importlib.import_module(f"thermogen.{room}")
    listed = getattr(module, "__all__", None)
    if listed:
        return list(listed)
    return [
        name
        for name, held in vars(module).items()
        if not name.startswith("_") and getattr(held, "__module__", None) == module.__name__
    ]


def test_every_public_name_is_in_the_api_once():
    from names import DIRECTIVE, documented

    text = "\n".join(page.read_text() for page in (DOCS / "api").glob("*.md"))
    entries = DIRECTIVE.findall(text)
    assert sorted(entries) == sorted(set(entries))
    names = {name for name in tg.__all__ if not inspect.ismodule(getattr(tg, name))}
    assert {f"thermogen.{name}" for name in names} <= set(documented())


@pytest.mark.parametrize("room", sorted(rooms()))
def test_every_name_of_a_room_is_in_the_api(room):
    from names import entry

    missing = [name for name in names_of(room) if entry(f"thermogen.{room}.{name}") is None]
    assert not missing


def test_every_entry_of_the_api_exists_and_has_a_docstring():
    from names import documented, found

    for name in documented():
        held = found(name)
        if callable(held):
            assert len((inspect.getdoc(held) or "").split()) >= 2, name
        # What autodoc would otherwise show of a record is the docstring that Python makes.
        if isinstance(held, type):
            assert not (held.__doc__ or "").startswith(f"{held.__name__}("), name


def test_docstrings_are_read_as_prose_code_and_names():
    from docstrings import as_rst

    resolve = {"Computer.energy": "thermogen.Computer.energy"}.get
    lines = ["The `energy` of *all* x_i, see `Computer.energy`s.", "", "    V = a |x|", "", "Raises nothing."]
    assert as_rst(lines, resolve) == [
        r"The ``energy`` of \*all\* x\_i, see :py:obj:`Computer.energy <thermogen.Computer.energy>`\ s.",
        "",
        "",
        "::",
        "",
        "    V = a |x|",
        "",
        "",
        "Raises nothing.",
    ]


# --- commands --------------------------------------------------------------------------------------------


def commands(command=None, words=("thermogen",)):
    command = command or get_command(application())
    yield words, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, (*words, name))


@pytest.mark.parametrize(
    ("words", "command"), list(commands()), ids=lambda one: " ".join(one) if isinstance(one, tuple) else ""
)
def test_the_help_of_every_command_shows_an_example(words, command):
    _, mark, examples = (command.help or "").partition("Example")
    assert mark, words
    shown = [line.strip() for line in examples.splitlines() if line.strip().startswith("thermogen ")]
    assert any(line.split()[: len(words)] == list(words) for line in shown), words


def lines_of(page):
    for block in re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE):
        yield from (line.split("#")[0].strip() for line in block.splitlines())
    for block in re.findall(r"(?:^    thermogen .*\n)+", page.read_text(), re.MULTILINE):
        yield from (line.split("#")[0].strip() for line in block.splitlines())


def test_every_command_of_the_pages_is_known():
    root, seen = get_command(application()), 0
    for page in PAGES:
        for line in lines_of(page):
            for words in (part.split() for part in re.split(r";|&&", line)):
                if not words or words[0] != "thermogen":
                    continue
                seen += 1
                here = words[: words.index("--")] if "--" in words else words
                command = root
                for word in here[1:]:
                    if word in getattr(command, "commands", {}):
                        command = command.commands[word]
                known = {
                    option
                    for parameter in command.params
                    for option in [*parameter.opts, *parameter.secondary_opts]
                }
                known |= {option for parameter in root.params for option in parameter.opts} | {"--help"}
                asked = {word for word in here if word.startswith("--")}
                assert asked <= known, f"{name_of(page)}: {line}"
    assert seen > 50


# --- examples --------------------------------------------------------------------------------------------

GUIDES = [DOCS / "start.md", *sorted((DOCS / "how-to").glob("*.md"))]


@pytest.mark.parametrize("page", [page for page in GUIDES if "```python" in page.read_text()], ids=name_of)
def test_the_python_of_the_guides_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in re.findall(r"^```python\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE):
        exec(compile(block, name_of(page), "exec"), names)
    checks = {
        "start": lambda: names["scores"].best.mean() > 0.8 and names["samples"].visible.shape == (100, 784),
        "images": lambda: names["scores"].best.mean() > 0.8 and (names["scores"].counts > 50).all(),
        "conditional": lambda: (names["verdict"].label == 7).mean() > 0.9,
        "models": lambda: np.array_equal(
            tg.Model.from_pretrained("models/again").computer.bias, names["model"].computer.bias
        ),
        # The heat of the card, 2,821 kT, is that of a fine step.
        "step": lambda: (
            names["schedule"].steps < 250
            and abs(names["samples"].heat_kT.mean() - 2821)
            < 4 * names["samples"].heat_kT.std() / 200**0.5 + 28
        ),
        "resume": lambda: len(names["first"].visible) == 20,
        "heat": lambda: abs(names["heat"].mean() - 2821) < 4 * names["heat"].std() / 200**0.5 + 28,
        "repair": lambda: (
            not (np.asarray(names["repaired"].couplings.matrix())[names["dead"] | names["dead"].T]).any()
            and float(jnp.abs(names["repaired"].couplings.matrix()).max()) > 0.01
        ),
        "ngspice": lambda: names["physical"].platform.parts["capacitance"][0] == pytest.approx(2e-15),
    }
    assert checks[page.stem]()


# --- pictures and pages that scripts write ---------------------------------------------------------------


def test_every_picture_is_shown_and_made_by_a_script():
    from make_figures import FIGURES, IMAGES, WORKS

    pictures = {path.stem for path in IMAGES.glob("*")}
    assert pictures == set(FIGURES)
    shown = "\n".join(page.read_text() for page in PAGES)
    assert {name for name in pictures if f"images/{name}.png" not in shown} == set()
    for name, (work, made) in FIGURES.items():
        commands, _ = WORKS[work]
        if commands[-1][1].endswith(".py"):
            assert f'"{name}"' in Path(commands[-1][1]).read_text()
            continue
        program = commands[-1][2]
        if program == "benchmarks":
            code = (ROOT / "benchmarks" / f"{commands[-1][3]}.py").read_text()
            # Its name stands in the benchmark, whole or up to the part that is filled in.
            whole = ast.walk(ast.parse(code))
            strings = {
                one.value for one in whole if isinstance(one, ast.Constant) and isinstance(one.value, str)
            }
            assert any(
                text and text != ".png" and made.name.startswith(text.removesuffix(".png"))
                for text in strings
            ), name
        else:
            assert program == "thermogen"


def test_an_unknown_picture_is_named():
    script = [sys.executable, str(ROOT / "scripts" / "make_figures.py"), "nothing"]
    ended = subprocess.run(script, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "unknown picture 'nothing': choose among digits" in ended.stderr


def test_the_page_of_benchmarks_is_what_their_results_make():
    from benchmarks.page import page

    assert page() == (DOCS / "benchmarks.md").read_text(), "write it anew: python -m benchmarks.page"


def test_the_page_of_commands_is_what_the_help_texts_make(capsys, tmp_path, monkeypatch):
    import make_commands

    assert make_commands.main(["--check"]) == 0, make_commands.REMEDY
    monkeypatch.setattr(make_commands, "PAGE", tmp_path / "commands.md")
    assert make_commands.main(["--check"]) == 1
    assert "run python scripts/make_commands.py" in capsys.readouterr().err
    assert make_commands.main([]) == make_commands.main(["--check"]) == 0
    assert make_commands.main(["--chekc"]) == 2
