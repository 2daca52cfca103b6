"""Kept results: found again by their identity alone, whole or refused in one line, never half written."""

import json
import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thermogen as tg
from thermogen.storage.cache import ResultCache, mark
from thermogen.storage.run_folder import write_atomically

FIGURES = {"heat": 0.1 + 0.2, "tiny": 5e-324, "none": None, "list": [1, 2.5, "três"], "nan": float("nan")}
STATES = np.random.default_rng(0).normal(size=(3, 4, 2))
IDENTITY = {"seed": 1, "dt": 0.1}


def refuse():
    raise AssertionError("made again")


def keep(cache, kind, identity=IDENTITY, make=None):
    """A result of one of both kinds, kept or made, and its file."""
    file = cache.file("heat", identity)
    if kind == "json":
        return cache.result("heat", identity, make or (lambda: FIGURES)), file
    return cache.array("heat", identity, make or (lambda: STATES)), file


def model():
    couplings = tg.published_couplings(tg.Units(visible=4, hidden=2))
    matrix = np.random.default_rng(1).normal(size=(6, 6))
    matrix = matrix + matrix.T
    np.fill_diagonal(matrix, 0)
    computer = tg.make_computer(couplings.with_matrix(jnp.asarray(matrix, jnp.float32)))
    return tg.Model(computer, tg.Schedule(t_f=1.0, dt=0.05), (2, 2), training={"trainer": "exact"})


def test_figures_come_back_bit_for_bit_with_their_seconds(tmp_path):
    cache = ResultCache(tmp_path / "a" / "b")
    assert cache.kept("heat", IDENTITY) is None
    made, _ = keep(cache, "json")
    again, file = keep(cache, "json", make=refuse)
    assert json.dumps(again) == json.dumps(made) == json.dumps(FIGURES)
    assert file.name == f"heat-{mark(IDENTITY)}.json"
    stored = json.loads(file.read_text())
    assert (stored["identity"], stored["versions"]["thermogen"]) == (IDENTITY, tg.__version__)
    assert cache.kept("heat", IDENTITY)["seconds"] == stored["seconds"]
    assert cache.result("nothing", IDENTITY, lambda: None) is None
    assert cache.kept("nothing", IDENTITY)["content"] is None


@pytest.mark.parametrize("array", [STATES, STATES.astype(np.float32)[::2, :, ::-1], np.arange(6)])
def test_arrays_come_back_bit_for_bit(tmp_path, array):
    cache = ResultCache(tmp_path)
    made = cache.array("states", IDENTITY, lambda: array)
    again = cache.array("states", IDENTITY, refuse)
    for found in (made, again):
        assert found.dtype == array.dtype
        assert np.array_equal(found, array)


def test_models_come_back_bit_for_bit_and_know_what_they_are(tmp_path):
    cache, kept = ResultCache(tmp_path), model()
    assert cache.model(IDENTITY) is None
    cache.keep_model(IDENTITY, kept)
    again = cache.model(IDENTITY)
    assert again.training == {"trainer": "exact", "identity": IDENTITY}
    for old, new in zip(jax.tree.leaves(kept.computer), jax.tree.leaves(again.computer), strict=True):
        assert np.array_equal(old, new)
    assert cache.model({**IDENTITY, "seed": 2}) is None
    [folder] = (tmp_path / "models").iterdir()
    (folder / "model.safetensors").write_bytes(b"")
    with pytest.raises(tg.InputError, match=f"{folder.name} is damaged: remove it to run it again"):
        cache.model(IDENTITY)


@pytest.mark.parametrize("kind", ["json", "array"])
def test_identities_stand_side_by_side(tmp_path, kind):
    cache = ResultCache(tmp_path)
    others = [{"seed": 2, "dt": 0.1}, {"seed": 1}, {**IDENTITY, "version": "1.0.1"}]
    identities = [IDENTITY, *others]
    for number, identity in enumerate(identities):
        keep(cache, kind, identity, lambda number=number: np.arange(number) if kind == "array" else number)
    for number, identity in enumerate(identities):
        found, file = keep(cache, kind, dict(reversed(identity.items())), refuse)  # order does not count
        assert np.array_equal(found, np.arange(number) if kind == "array" else number)
        assert file.exists()
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.parametrize("kind", ["json", "array"])
def test_a_file_that_holds_another_identity_is_not_used(tmp_path, kind):
    cache, other = ResultCache(tmp_path), {"seed": 2}
    _, theirs = keep(cache, kind, other)
    _, file = keep(cache, kind)
    os.replace(theirs, file)  # as if both had one mark
    made = [] if kind == "json" else np.zeros(2)
    assert np.array_equal(keep(cache, kind, make=lambda: made)[0], made)
    assert np.array_equal(keep(cache, kind, make=refuse)[0], made)


def alter(old, new):
    return lambda content: content.replace(old, new, 1)


DAMAGES = {
    "empty": lambda content: b"",
    "truncated": lambda content: content[:-3],
    "half": lambda content: content[: len(content) // 2],
    "bytes that are no text": lambda content: content[:40] + b"\xff\xfe" + content[42:],
    "identity": alter(b'"seed"', b'"sead"'),
    "figure": alter(b"0.30000000000000004", b"0.30000000000000000"),
    "seconds": alter(b"seconds", b"secunds"),
    "checksum": alter(b"sha256", b"sha265"),
    "no record": lambda content: b"{}",
    "a list": lambda content: b"[]",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_named_with_the_remedy(tmp_path, damage):
    cache = ResultCache(tmp_path)
    _, file = keep(cache, "json")
    whole = file.read_bytes()
    broken = DAMAGES[damage](whole)
    assert broken != whole
    file.write_bytes(broken)
    with pytest.raises(tg.InputError, match=f"{file} is damaged: remove it to run it again$"):
        keep(cache, "json", make=refuse)
    file.unlink()
    keep(cache, "json")
    keep(cache, "json", make=refuse)


def test_a_damaged_array_is_named_with_the_remedy(tmp_path):
    cache = ResultCache(tmp_path)
    _, file = keep(cache, "array")
    content = json.loads(file.read_text())["content"]
    other = "A" if content[-20] != "A" else "B"
    file.write_text(file.read_text().replace(content, content[:-20] + other + content[-19:]))
    with pytest.raises(tg.InputError, match=f"{file} is damaged: remove it to run it again$"):
        keep(cache, "array", make=refuse)


@pytest.mark.parametrize("kind", ["json", "array"])
def test_a_kill_before_the_renaming_leaves_nothing_or_the_old_result(tmp_path, monkeypatch, kind):
    cache = ResultCache(tmp_path)

    def killed(*paths):
        raise KeyboardInterrupt

    def interrupted():
        with monkeypatch.context() as patched:
            patched.setattr(os, "replace", killed)
            with pytest.raises(KeyboardInterrupt):
                keep(cache, kind)

    interrupted()
    _, file = keep(ResultCache(tmp_path / "elsewhere"), kind, {"seed": 2})
    place = tmp_path / file.name.replace(mark({"seed": 2}), mark(IDENTITY))
    assert not place.exists()
    old = file.read_bytes()
    place.write_bytes(old)  # of another identity, to be replaced
    interrupted()
    assert place.read_bytes() == old
    keep(cache, kind)
    assert place.read_bytes() != old
    keep(cache, kind, make=refuse)


def test_text_is_flushed_before_it_is_renamed(tmp_path, monkeypatch):
    file, calls = tmp_path / "a.json", []
    write_atomically(file, "old")
    monkeypatch.setattr(os, "fsync", lambda handle: calls.append("fsync"))
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda *paths: (calls.append("replace"), replace(*paths)))
    write_atomically(file, "new")
    assert (file.read_text(), calls) == ("new", ["fsync", "replace"])


def test_nothing_is_kept_without_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cache, made = ResultCache(None), []
    for _ in range(2):
        assert cache.result("heat", IDENTITY, lambda: made.append(1) or (1, 2)) == [1, 2]
        assert np.array_equal(cache.array("heat", IDENTITY, lambda: STATES), STATES)
    cache.keep_model(IDENTITY, model())
    assert cache.model(IDENTITY) is None
    assert cache.kept("heat", IDENTITY) is None
    assert made == [1, 1]
    assert not list(tmp_path.iterdir())
