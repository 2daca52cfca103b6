import re
from pathlib import Path

import pytest

README = Path(__file__).parent.parent / "README.md"


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(), re.DOTALL)


def test_the_python_example_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (example,) = blocks("python")
    # The same program on a smaller computer: fewer hidden units and samples.
    for whole, small in (("512", "16"), ("count=100", "count=4")):
        assert whole in example
        example = example.replace(whole, small)
    names = {}
    exec(compile(example, "README.md", "exec"), names)
    assert names["samples"].visible.shape == (4, 784)
    assert names["again"].bias.shape == (800,)
    assert (tmp_path / "model" / "card.json").exists()
    assert "(4, 784)" in capsys.readouterr().out


def test_every_link_and_picture_exists():
    targets = re.findall(r"(?:\]\(|src=\")([^)\"#]+)", README.read_text())
    assert len(targets) > 8
    for target in targets:
        if not target.startswith("http"):
            assert (README.parent / target).exists(), target


def test_it_fits_three_screens():
    assert len(README.read_text().splitlines()) <= 110


@pytest.mark.parametrize("line", [line for block in blocks("sh") for line in block.splitlines()])
def test_every_command_in_the_readme_is_known(line):
    words = line.split("#")[0].split()
    if words[0] == "make":
        assert f"\n{words[1]}:" in (README.parent / "Makefile").read_text()
        return
    from typer.main import get_command

    from thermogen.cli.app import application

    if "--" in words:  # a command that runs another
        place = words.index("--")
        parts = [words[:place], ["thermogen", *words[place + 1 :]]]
    else:
        parts = [words]
    for part in parts:
        command = get_command(application()).commands[part[1]]
        if hasattr(command, "commands"):
            command = command.commands[part[2]]
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in part if word.startswith("--")} <= known
