"""The words of the project: no name and no text uses a word that the glossary drops."""

import io
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "thermogen"
PAGES = [
    page
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    if "_build" not in page.parts and page.name != "changes.md"
]

DROPPED = {
    "appointed": "read-out time t_f",
    "asked": "requested, class-conditional",
    "flaws?": "imperfection, training noise",
    "judged?": "evaluate",
    "likeness": "correlation",
    "modal": "conditional",
    "resemblance": "correlation",
    "rivals?": "baseline",
    "steer(ed|ing)": "network",
    "tenfold": "all classes",
    "unlike": "of different kinds",
}
"""Words that the text and the names of the project do not use, and what they use instead."""

NAMES = DROPPED | {
    "chips?": "device",
    "damaged?": "defect map",
    "shelf": "models",
    "standing": "grey levels",
    "telling": "outgoing",
}
"""Words that no name of the code holds."""

CLASSES = {"Conditional", "Conditioned", "Hold", "Parts", "Steered", "Flaws"}
"""Classes of 1.0.0: now PerClass, ConditionSet, Clamp, SplitState, SelectedNetwork and TrainingNoise."""

ALLOWED = {
    "src/thermogen/cli/app.py": "old names are answered with the new ones",
    "src/thermogen/cli/options.py": "old options are answered with the new ones",
}


def words_of(name):
    """The words of an identifier: 'asked_dt' and 'AskedDt' are both 'asked', 'dt'."""
    return re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)


def identifiers(file):
    for token in tokenize.generate_tokens(io.StringIO(file.read_text()).readline):
        if token.type == tokenize.NAME:
            yield token.start[0], token.string


def texts(file):
    """Comments and strings of a module with their lines."""
    for token in tokenize.generate_tokens(io.StringIO(file.read_text()).readline):
        if token.type in (tokenize.STRING, tokenize.COMMENT):
            yield token.start[0], token.string


def without_glossary(page):
    text = page.read_text()
    if page.name == "CONTRIBUTING.md":
        before, _, rest = text.partition("## Glossary")
        return before + rest[rest.index("\n## ") :]
    return text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_page_uses_no_dropped_word(page):
    text = without_glossary(page)
    found = [word for word in DROPPED if re.search(rf"\b{word}\b", text, re.IGNORECASE)]
    assert not found, {word: DROPPED[word] for word in found}


def test_no_name_holds_a_dropped_word():
    pattern = re.compile("|".join(f"(?:{word})" for word in NAMES), re.IGNORECASE)
    found = [
        f"{file.relative_to(ROOT)}:{line} {name}"
        for file in sorted(PACKAGE.rglob("*.py"))
        if file.relative_to(ROOT).as_posix() not in ALLOWED
        for line, name in identifiers(file)
        if name in CLASSES or any(pattern.fullmatch(word) for word in words_of(name))
    ]
    assert not found


def test_no_text_of_the_code_holds_a_dropped_word():
    pattern = re.compile(rf"\b(?:{'|'.join(DROPPED)})\b", re.IGNORECASE)
    found = [
        f"{file.relative_to(ROOT)}:{line} {match[0]}"
        for file in sorted(PACKAGE.rglob("*.py"))
        if file.relative_to(ROOT).as_posix() not in ALLOWED
        for line, text in texts(file)
        if (match := pattern.search(text))
    ]
    assert not found


def test_dropped_words_in_names_are_found():
    assert words_of("asked_dt") == ["asked", "dt"]
    assert words_of("ModalSettings") == ["Modal", "Settings"]
    assert words_of("kT_of") == ["k", "T", "of"]
