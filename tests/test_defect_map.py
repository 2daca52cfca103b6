"""A device with defects: its map, the model on it, and training around it."""

import jax
import numpy as np
import pytest

import thermogen as tg
from thermogen.hardware import Imperfections, make_device
from thermogen.hardware.imperfect.defect_map import defect_map, read_defect_map, with_defects
from thermogen.studies.circuit_model import model_with_defects
from thermogen.studies.experiment import prepare


def test_a_map_holds_what_the_device_is(small_model):
    model = tg.Model.from_pretrained(small_model)
    wrong = Imperfections(dead=0.2, mismatch_J2=0.1, mismatch_mobility=0.1)
    device = make_device(jax.random.key(1), model.computer, wrong)
    found = defect_map(jax.random.key(1), model.computer, wrong)
    assert np.array_equal(found["dead"], found["dead"].T)
    assert np.array_equal(device.matrix() == 0, (model.computer.couplings.matrix() == 0) | found["dead"])
    assert np.array_equal(found["J4"], np.ones(13))
    assert 0.03 < np.log(found["J2"]).std() < 0.2
    defective = with_defects(model.computer, found)
    assert np.allclose(defective.couplings.matrix(), device.matrix())
    x = jax.random.normal(jax.random.key(2), (5, 13))
    d = device.dynamics
    force = -x * (2 * d.J2 + 4 * d.J4 * x * x) - d.bias - d.pull(x)
    assert np.allclose(defective.force(x), force, atol=1e-5)
    assert np.allclose(defective.mobility, d.mobility)


def test_couplers_that_are_set_to_nothing_die_as_often(small_model):
    """The share of dead couplers is that of all couplers, within four standard errors."""
    model = tg.Model.from_pretrained(small_model)
    units = tg.Units(30, 20)
    idle = tg.make_computer(tg.published_couplings(units))
    found = defect_map(jax.random.key(3), idle, Imperfections(dead=0.1))
    pairs = idle.couplings.count()
    assert abs(found["dead"].sum() / 2 - 0.1 * pairs) < 4 * (0.09 * pairs) ** 0.5
    low = tg.couplings.LowRankCouplings(model.computer.units, {}, {})
    with pytest.raises(tg.InputError, match="a defect map is of couplers pair by pair"):
        defect_map(jax.random.key(0), tg.make_computer(low), Imperfections(dead=0.1))


def test_a_repaired_computer_knows_its_device(command, two_patterns, small_model, tmp_path):
    """Dead couplers stay out, units are those of the device, and the loss there is the least."""
    code, out, err = command(
        "hardware",
        "defects",
        small_model,
        "--dead",
        0.2,
        "--mismatch",
        0.2,
        "--out",
        "c.npz",
        "--defective",
        "bad",
    )
    assert code == 0, err
    assert "couplers dead, units differ by 20 %" in out
    where = small_model.parent
    code, _, err = command(
        "train",
        "--images",
        where / "two.npz",
        "--hidden",
        4,
        "--dt",
        0.01,
        "--defect-map",
        "c.npz",
        "--out",
        "good",
    )
    assert code == 0, err
    defects = read_defect_map(tmp_path / "c.npz", tg.Units(9, 4))
    bad, good = (tg.Model.from_pretrained(tmp_path / name) for name in ("bad", "good"))
    assert good.training["defect_map"]["file"] == "c.npz"
    J = np.asarray(good.computer.couplings.matrix())
    assert not J[defects["dead"]].any()
    assert np.count_nonzero(J) > 50
    for name in ("J2", "J4", "mobility"):
        assert np.allclose(getattr(good.computer, name), defects[name])
        assert np.allclose(getattr(bad.computer, name), defects[name])
    experiment = prepare(two_patterns(where), tmp_path / "c.npz")
    losses = [
        np.asarray(
            tg.training.path_loss(
                jax.random.key(3), one.computer, experiment.fields, experiment.schedule, np.arange(400)
            ),
            float,
        )
        for one in (bad, good)
    ]
    worse = losses[0] - losses[1]
    assert worse.mean() > 4 * worse.std() / 20


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (None, "does not exist: check the path"),
        ({"J2": np.ones(13)}, "is no defect map .*: save J2, J4, mobility, dead with numpy.savez"),
        (
            {"J2": np.ones(3), "J4": np.ones(13), "mobility": np.ones(13), "dead": np.zeros((13, 13), bool)},
            r"J2 of .* has shape \(3,\): give \(13,\)",
        ),
        (
            {
                "J2": -np.ones(13),
                "J4": np.zeros(13),
                "mobility": np.ones(13),
                "dead": np.zeros((13, 13), bool),
            },
            "unit 0 with J2 = -1, J4 = 0 is not confined",
        ),
        (
            {
                "J2": np.ones(13),
                "J4": np.ones(13),
                "mobility": np.zeros(13),
                "dead": np.zeros((13, 13), bool),
            },
            "mobility",
        ),
    ],
)
def test_maps_that_are_none_are_refused(two_patterns, tmp_path, arrays, message):
    path = tmp_path / "c.npz"
    if arrays is not None:
        np.savez(path, **arrays)
    with pytest.raises(tg.InputError, match=message) as caught:
        prepare(two_patterns(tmp_path), path)
    assert "\n" not in str(caught.value)


def test_what_no_map_can_hold_is_refused(small_model):
    model = tg.Model.from_pretrained(small_model)
    key = jax.random.key(0)
    with pytest.raises(tg.InputError, match="bits: a defect map holds mismatch_J2, mismatch_J4"):
        defect_map(key, model.computer, Imperfections(bits=4))
    with pytest.raises(tg.InputError, match=r"dead = 1\.5: give a share from 0 to below 1"):
        model_with_defects(model, 1.5, 0.1, 0)
