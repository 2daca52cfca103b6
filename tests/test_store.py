import json
import runpy
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thermogen as tg
from thermogen.storage.model import SHIPPED, read_card


def random_matrix(total):
    matrix = np.random.default_rng(1).normal(size=(total, total))
    matrix = matrix + matrix.T
    np.fill_diagonal(matrix, 0)
    return jnp.asarray(matrix, jnp.float32)


UNITS = tg.Units(visible=6, hidden=4)
WIRINGS = {
    "published": lambda: tg.published_couplings(UNITS),
    "all": lambda: tg.couplings.all_to_all(UNITS),
    "planes": lambda: tg.couplings.planes(UNITS, 2, 3),
    "mask": lambda: tg.couplings.from_mask(UNITS, np.asarray(random_matrix(10)) > 0.5),
}


def model(wiring="published"):
    couplings = WIRINGS[wiring]().with_matrix(random_matrix(10))
    computer = tg.make_computer(couplings, bias=np.arange(10.0), J2=np.linspace(1, 2, 10), kT=0.2)
    prototypes = np.random.default_rng(2).normal(size=(2, 6)).astype(np.float32)
    return tg.Model(
        computer,
        tg.Schedule(t_f=1.0, dt=0.01),
        (2, 3),
        data={"source": "test", "labels": [0, 1], "prototypes": 2},
        figures={"heat_kT": {"mean": 1.0, "n": 3}},
        prototypes=prototypes,
    )


@pytest.mark.parametrize("wiring", WIRINGS)
def test_a_saved_model_comes_back_bit_for_bit(tmp_path, wiring):
    saved = model(wiring)
    saved.save_pretrained(tmp_path / "m")
    loaded = tg.Model.from_pretrained(tmp_path / "m")
    leaves, again = jax.tree.leaves(saved.computer), jax.tree.leaves(loaded.computer)
    assert len(leaves) == len(again)
    assert all(np.array_equal(a, b) and a.dtype == b.dtype for a, b in zip(leaves, again, strict=True))
    assert (loaded.schedule, loaded.image_shape, loaded.figures) == (
        saved.schedule,
        saved.image_shape,
        saved.figures,
    )
    assert np.array_equal(loaded.prototypes, saved.prototypes)


def test_a_model_folder_holds_a_json_card_and_safetensors_only(tmp_path):
    model().save_pretrained(tmp_path / "m")
    assert sorted(p.name for p in (tmp_path / "m").iterdir()) == ["card.json", "model.safetensors"]
    card = json.loads((tmp_path / "m" / "card.json").read_text())
    assert card["units"] == {"visible": 6, "hidden": 4, "output": 0}
    assert card["couplers"] == 6 * 4 + 6
    assert card["versions"]["thermogen"]


def truncate(folder):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-20])


def flip(folder):
    weights = folder / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(bytes(content))


def edit_card(folder):
    card = json.loads((folder / "card.json").read_text())
    card["schedule"]["dt"] = 0.02
    (folder / "card.json").write_text(json.dumps(card))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (truncate, "truncated or altered"),
        (flip, "truncated or altered"),
        (edit_card, "card.json was altered"),
        (lambda f: (f / "card.json").write_text("{"), "card.json is damaged"),
        (lambda f: (f / "card.json").unlink(), "is no model folder"),
        (lambda f: (f / "model.safetensors").unlink(), "has no model.safetensors"),
    ],
)
def test_damaged_model_folders_are_refused(tmp_path, damage, message):
    folder = model().save_pretrained(tmp_path / "m")
    damage(folder)
    with pytest.raises(tg.InputError, match=message):
        tg.Model.from_pretrained(folder)


def test_an_asymmetric_matrix_is_not_loaded_even_with_valid_checksums(tmp_path):
    bad = model()
    blocks = dict(bad.computer.couplings.blocks)
    blocks["hidden-hidden"] = blocks["hidden-hidden"].at[0, 1].add(1)
    couplings = tg.couplings.BlockCouplings(UNITS, blocks)
    computer = tg.make_computer(couplings)
    folder = tg.Model(computer, bad.schedule, (2, 3)).save_pretrained(tmp_path / "m")
    with pytest.raises(tg.InputError, match="is not symmetric"):
        tg.Model.from_pretrained(folder)


def test_a_folder_in_the_way_is_kept(tmp_path):
    folder = model().save_pretrained(tmp_path / "m")
    before = read_card(folder)["sha256"]
    with pytest.raises(tg.InputError, match="--force"):
        model("all").save_pretrained(folder)
    assert read_card(folder)["sha256"] == before
    model("all").save_pretrained(folder, force=True)
    assert read_card(folder)["sha256"] != before
    foreign = tmp_path / "photos"
    foreign.mkdir()
    (foreign / "me.jpg").write_text("x")
    with pytest.raises(tg.InputError, match="it is kept"):
        model().save_pretrained(foreign, force=True)
    assert (foreign / "me.jpg").exists()


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_models_draw_what_their_cards_say(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # no folder of that name
    model = tg.Model.from_pretrained(name)
    known = model.figures["heat_kT"]
    samples = tg.generate(jax.random.key(5), model.computer, 200, model.schedule)
    error = known["std"] * (1 / len(samples) + 1 / known["n"]) ** 0.5
    assert abs(samples.heat_kT.mean() - known["mean"]) < 4 * error
    assert model.image_shape == (28, 28)


def test_a_folder_goes_before_a_shipped_model_of_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model().save_pretrained("three-digits")
    assert tg.Model.from_pretrained("three-digits").computer.units == UNITS


def test_the_page_of_the_models_is_what_their_cards_say():
    root = Path(__file__).parent.parent
    page = runpy.run_path(str(root / "scripts" / "make_models.py"))["page"]
    assert (root / "docs" / "models.md").read_text() == page()


@pytest.mark.parametrize("name", ["per-class", "mode-table"])
def test_a_model_folder_of_1_0_0_gives_the_same_samples(name):
    """Files of version 1.0.0: a model, and `generate(jax.random.key(5), ..., 4)` with t_f = 1, dt = 0.02.

    Rounding differs between processors: states agree to that of 50 steps in float32.
    """
    folder = Path(__file__).parent / "data" / "model-1.0.0"
    assert read_card(folder / name)["versions"]["thermogen"] == "1.0.0"
    stored = tg.Model.from_pretrained(folder / name)
    assert stored.schedule == tg.Schedule(t_f=1.0, dt=0.02)
    samples = tg.generate(jax.random.key(5), stored.computer, 4, stored.schedule)
    with np.load(folder / f"{name}.npz", allow_pickle=False) as written:
        assert np.array_equal(samples.labels, written["labels"])
        for quantity in ("x", "visible", "heat_kT"):
            assert np.allclose(getattr(samples, quantity), written[quantity], rtol=1e-5, atol=1e-5), quantity
