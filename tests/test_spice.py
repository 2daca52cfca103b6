"""The circuit is the computer: decks, what ngspice makes of them, and what is refused in one line."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thermogen as tg
from thermogen.hardware import (
    CircuitBench,
    Transient,
    circuit_paths,
    figures,
    generate_in_circuit,
    netlist,
    parameters,
    record,
    records,
    to_physical,
    wiring,
)
from thermogen.hardware.spice.circuit import start_states
from thermogen.hardware.spice.ngspice import find_ngspice, read_raw, run_deck
from thermogen.hardware.spice.reference_path import piecewise_noise, reference_path
from thermogen.hardware.spice.verify import ensembles, pathwise, random_computer

KEY = jax.random.key(0)


def platform():
    return record("cmos-1fF").platform()


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    return CircuitBench.at(tmp_path_factory.mktemp("decks"))


def low_rank(units=None):
    """A small computer behind summing nodes, and the same pair by pair."""
    units = units or tg.Units(visible=6, hidden=4)
    rng = np.random.default_rng(1)
    link = rng.normal(size=(6, 2)), rng.normal(size=(4, 2))
    own = rng.normal(size=(4, 1))
    left = {
        "visible-hidden": jnp.asarray(link[0], jnp.float32),
        "hidden-hidden": jnp.asarray(own, jnp.float32),
    }
    right = {
        "visible-hidden": jnp.asarray(link[1], jnp.float32) / 4,
        "hidden-hidden": jnp.asarray(-0.3 * own, jnp.float32),
    }
    couplings = tg.couplings.LowRankCouplings(units, left, right)
    full = tg.published_couplings(units).with_matrix(couplings.matrix())
    bias = rng.normal(size=10) * 0.2
    return tg.make_computer(couplings, bias=bias), tg.make_computer(full, bias=bias)


def modes():
    """A computer of couplings through modes that drive each other."""
    rng = np.random.default_rng(2)
    basis = jnp.asarray(np.linalg.qr(rng.normal(size=(6, 3)))[0], jnp.float32)
    mixing = rng.normal(size=(3, 3))
    couplings = tg.couplings.ModeCouplings(tg.Units(6), basis, jnp.asarray(mixing + mixing.T, jnp.float32))
    return tg.make_computer(couplings, bias=0.1)


# --- wiring and figures -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda: low_rank()[0],
        lambda: low_rank()[1],
        modes,
        lambda: tg.make_computer(tg.couplings.planes(tg.Units(8), 2, 4)),
    ],
)
def test_wiring_makes_the_same_couplings(make):
    computer = make()
    physical = to_physical(computer, platform())
    wired = wiring(physical.couplings)
    J = np.asarray(computer.couplings.apply(jnp.eye(computer.units.total)), float)
    assert np.allclose(wired.matrix() / physical.conductance, J, atol=1e-6)
    pairs = zip(*map(jax.tree.leaves, (physical.computer().couplings, computer.couplings)), strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)


def test_no_summing_node_swings_wider_than_the_units():
    for computer in (low_rank()[0], modes()):
        wired = wiring(to_physical(computer, platform()).couplings)
        assert np.allclose(np.abs(wired.sense).sum(0), 1)
        assert wired.mixing is None or np.allclose(np.abs(wired.mixing).sum(1), 1)


def test_couplers_of_dense_and_low_rank_wiring():
    few, full = low_rank()
    found = figures(to_physical(few, platform()), tg.Schedule())
    assert found["couplers as wired"].value == 2 * (6 + 4) + 4
    assert found["couplers pair by pair"].value == 6 * 4 + 6
    assert found["summing nodes"].value == 5  # two modes in both directions, one within
    assert figures(to_physical(full, platform()), tg.Schedule())["summing nodes"].value == 0


def test_what_transconductors_draw_and_add():
    """V_DD t_f sum G / (g_m / I_D), and T (1 + <sum_j |G_ij|> / leak), by hand for one pair."""
    units = tg.Units(2)
    one = tg.make_computer(tg.couplings.all_to_all(units).with_matrix(jnp.asarray([[0, 0.5], [0.5, 0.0]])))
    own = record("cmos-1fF")
    found = figures(to_physical(one, own.platform()), tg.Schedule(), active=own.active)
    G = 0.5 * 0.5e-6
    assert found["energy of the couplers' supply"].value == pytest.approx(0.5 * 5e-9 * 2 * G / 25)
    assert found["temperature with the couplers' noise"].value == pytest.approx(300 * (1 + G / 1e-6))


def test_parameters_hold_the_whole_device():
    computer = low_rank()[0]
    physical = to_physical(computer, platform())
    found = json.loads(json.dumps(parameters(physical, tg.Schedule(readout=0.5))))
    nodes = found["couplings"]["nodes"]
    G = np.array(nodes["drive"]).T @ np.array(nodes["sense"]) + np.diag(found["couplings"]["self"])
    assert np.allclose(G / physical.conductance, computer.couplings.matrix(), atol=1e-6)
    assert found["storage"] == pytest.approx(1e-15)
    assert found["protocol"] == {"duration": pytest.approx(5e-9), "readout": pytest.approx(1e-9)}


# --- platforms by name ------------------------------------------------------------------------------------


def test_every_number_of_a_platform_has_a_source_and_lies_in_its_range():
    known = records()
    assert {one.kind for one in known.values()} == {"electrical", "superconducting", "mechanical"}
    for one in known.values():
        assert one.swing_source
        for element in one.elements.values():
            assert element.low <= element.value <= element.high
            assert len(element.source) > 10
        assert to_physical(random_computer(KEY, 4), one.platform()).platform.name == one.name


@pytest.mark.parametrize(
    ("name", "changed", "message"),
    [
        ("cmos-1fF", {"capacitance": "1 aF"}, "capacitance = 1 aF is outside the range of cmos-1fF"),
        ("josephson", {"temperature": "77 K"}, "temperature = 77 K is outside the range of josephson"),
        (
            "cmos-1fF",
            {"inductance": "1 nH"},
            "cmos-1fF has no inductance: choose among capacitance, resistance",
        ),
        ("cmos-1fF", {"capacitance": "1 ohm"}, "capacitance = 1 ohm: give a value in farad"),
    ],
)
def test_values_outside_a_platform_are_refused(name, changed, message):
    with pytest.raises(tg.InputError, match=message):
        record(name).platform(changed)


def test_a_swing_beyond_the_platform_is_refused():
    own = record("cmos-1fF")
    wide = to_physical(
        random_computer(KEY, 4), own.platform({"capacitance": "0.1 fF", "temperature": "400 K"})
    )
    own.check(wide)
    with pytest.raises(tg.InputError, match=r"a unit would reach .* volt, cmos-1fF holds 0.01 volt"):
        dataclasses.replace(own, swing=0.01).check(wide)


def test_asymmetric_couplings_need_one_way_couplers():
    units = tg.Units(3)
    J = jnp.asarray([[0, 1, 0], [2, 0, 0], [0, 0, 0.0]])
    lopsided = tg.make_computer(tg.couplings.BlockCouplings(units, {"visible-visible": J}))
    with pytest.raises(tg.InputError, match=r"visible-visible are not symmetric, entry \(0, 1\) is 1 and"):
        to_physical(lopsided, record("josephson").platform())
    wired = wiring(to_physical(lopsided, platform()).couplings).matrix()
    force = -np.asarray(lopsided.couplings.apply(jnp.eye(3)), float).T
    assert np.allclose(-wired / to_physical(lopsided, platform()).conductance, force)


def test_platform_files(tmp_path):
    with pytest.raises(tg.InputError, match="unknown platform 'vacuum': choose one of cmos-1fF"):
        record("vacuum")
    with pytest.raises(tg.InputError, match="does not exist"):
        records(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("[x\n")
    with pytest.raises(tg.InputError, match="is no TOML"):
        records(tmp_path / "bad.toml")
    (tmp_path / "short.toml").write_text('[x]\nkind = "electrical"\ntitle = "t"\none_way = true\n')
    with pytest.raises(tg.InputError, match="platform x lacks 'capacitance'"):
        records(tmp_path / "short.toml")


# --- our own path under held noise ------------------------------------------------------------------------


def test_held_path_of_a_linear_unit_is_exact():
    """J4 = 0: x relaxes to kick / (2 J2) between switches, in closed form."""
    J2, step, kT = 0.8, 0.1, 0.1
    one = tg.make_computer(tg.couplings.all_to_all(tg.Units(2)), J2=J2, J4=0.0, kT=kT)
    noise = piecewise_noise(KEY, np.arange(1), 4, 2)
    found = reference_path(one, np.array([[0.3, -0.2]]), noise, step, 4)[0]
    x = np.array([0.3, -0.2])
    k = 2 * float(np.float32(J2))
    for kick, end in zip(np.sqrt(2 * float(np.float32(kT)) / step) * noise[0], found, strict=True):
        x = kick / k + (x - kick / k) * np.exp(-k * step)
        assert np.allclose(end, x, atol=1e-9)


def test_held_noise_is_that_of_the_simulator():
    """Sample n at step k as `simulate` draws it, whatever other samples there are."""
    few, many = piecewise_noise(KEY, np.array([3]), 5, 7), piecewise_noise(KEY, np.arange(6), 5, 7)
    assert np.array_equal(few[0], many[3])
    keys = tg.langevin.noise.sample_keys(KEY, jnp.array([3]))
    drawn = tg.langevin.noise.standard_normal(keys, 2, 7, jnp.float32)
    assert np.allclose(few[0, 2], drawn[0], atol=2e-3)


# --- decks ------------------------------------------------------------------------------------------------


def test_a_deck_writes_out_products_and_seeds():
    one = random_computer(KEY, 3)
    physical = to_physical(one, platform())
    start = start_states(KEY, one, np.arange(2))
    text = netlist(physical, start, Transient(), seeds=np.array([1, 2]), meter=True)
    assert "V(x0)*V(x0)*V(x0)" in text
    assert "^" not in text
    assert "trnoise" not in text
    assert [line for line in text.splitlines() if line.startswith("setseed")] == ["setseed 1", "setseed 2"]
    assert sum(line.startswith("G") for line in text.splitlines()) == 6
    assert text.count("uic") == 2


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"start": np.zeros((1, 4))}, r"start has shape \(1, 4\) for 3 units"),
        ({"noise": np.zeros((50, 3)), "seeds": np.array([1])}, "noise and seeds are both given"),
        ({"start": np.zeros((2, 3)), "noise": np.zeros((50, 3))}, "noise is given for one run, not 2"),
        ({"noise": np.zeros((5, 3))}, r"noise has shape \(5, 3\): give \(50, 3\)"),
    ],
)
def test_decks_that_make_no_sense_are_refused(given, message):
    physical = to_physical(random_computer(KEY, 3), platform())
    start = given.pop("start", np.zeros((1, 3)))
    with pytest.raises(tg.InputError, match=message):
        netlist(physical, start, Transient(), **given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"reltol": 0.0}, "reltol = 0.0: give a positive number"),
        ({"noise_step": 0.3}, "noise_step = 0.3 does not divide t_f = 2.5: try 0.3125"),
        ({"points": 0}, "points = 0: give 1 or more"),
    ],
)
def test_plans_that_make_no_sense_are_refused(given, message):
    with pytest.raises(tg.InputError, match=message):
        Transient(**given)


# --- ngspice ----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("ngspice")
@pytest.mark.parametrize("units", [2, 16])
def test_the_same_path_in_both_engines(units, bench):
    """Within 1e-3 of the state by default and falling with the tolerance; without noise within 1e-4."""
    one = random_computer(jax.random.fold_in(KEY, units), units)
    noisy, still = (pathwise(KEY, one, platform(), bench, noisy=noisy) for noisy in (True, False))
    first, second = (run["difference"] for run in noisy["runs"])
    assert first < 1e-3
    assert second < first / 3
    assert still["runs"][0]["difference"] < 1e-4
    assert noisy["agrees"]
    assert still["agrees"]
    for found in (noisy, still):
        run = found["runs"][-1]
        assert run["metered_kT"] == pytest.approx(found["heat_kT"], abs=0.02 + 0.01 * abs(found["heat_kT"]))


@pytest.mark.usefixtures("ngspice")
@pytest.mark.parametrize("make", [lambda: low_rank()[0], modes])
def test_summing_nodes_run_the_same_path(make, bench):
    assert pathwise(KEY, make(), platform(), bench)["agrees"]


@pytest.mark.usefixtures("ngspice")
@pytest.mark.parametrize("name", ["josephson", "cantilever"])
def test_other_platforms_run_as_their_analogue(name, bench):
    assert pathwise(KEY, random_computer(KEY, 4), record(name).platform(), bench)["agrees"]


@pytest.mark.usefixtures("ngspice")
def test_averages_agree_within_four_standard_errors(bench):
    found = ensembles(KEY, random_computer(KEY, 4), platform(), bench, 400, noise_step=0.05)
    assert {name: one["n"] for name, one in found["z"].items()} == {
        "means": 4,
        "variances": 4,
        "covariances": 6,
        "heat": 1,
    }
    assert found["agrees"]
    assert all(one["largest"] < 4 for one in found["z"].values())


@pytest.mark.usefixtures("ngspice")
def test_a_wrong_circuit_is_found_out(bench, monkeypatch):
    """A cubic of another size: paths and averages say so."""
    one = random_computer(KEY, 4)
    from thermogen.hardware.spice import circuit

    def wrong(physical, *args, **given):
        return netlist(dataclasses.replace(physical, cubic=1.5 * physical.cubic), *args, **given)

    monkeypatch.setattr(circuit, "netlist", wrong)
    assert not pathwise(KEY, one, platform(), bench)["agrees"]
    assert not ensembles(KEY, one, platform(), bench, 1500, noise_step=0.05)["agrees"]


@pytest.mark.usefixtures("ngspice")
def test_a_sample_is_the_same_whatever_else_is_drawn(bench):
    one = random_computer(KEY, 3)
    physical = to_physical(one, platform())
    plan, schedule = Transient(points=5), tg.Schedule(readout=0.5)
    many = generate_in_circuit(KEY, one, physical, 30, schedule, plan, bench)
    few = generate_in_circuit(
        KEY, one, physical, 2, schedule, plan, CircuitBench(bench.folder, bench.program, 1)
    )
    assert np.array_equal(many.x[:2], few.x)
    assert np.array_equal(many.visible[:2], few.visible)
    film = np.moveaxis(many.film, 0, 1)  # the read-out is the last of five points, a window of half a unit
    assert np.allclose(many.visible[: len(film)], film[:, -1])
    assert np.allclose(many.heat, many.start.total - many.end.total)


@pytest.mark.usefixtures("ngspice")
def test_finished_decks_are_not_run_again(tmp_path, monkeypatch):
    one = random_computer(KEY, 2)
    physical = to_physical(one, platform())
    own = CircuitBench.at(tmp_path, runs_of_deck=2)
    start = start_states(KEY, one, np.arange(5))
    seen = []
    plan = Transient(points=1)
    first = circuit_paths(physical, start, plan, own, seeds=np.arange(5), progress=seen.append)
    assert seen[-1] == 5
    assert len(list(tmp_path.glob("deck-*.json"))) == 3
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]

    def refuse(*args, **given):
        raise AssertionError("ran again")

    monkeypatch.setattr("thermogen.hardware.spice.circuit.run_deck", refuse)
    again = circuit_paths(physical, start, plan, own, seeds=np.arange(5))
    assert np.array_equal(again.x, first.x)


@pytest.mark.usefixtures("ngspice")
def test_what_ngspice_refuses_is_shown_and_the_deck_kept(tmp_path):
    deck = tmp_path / "deck.cir"
    deck.write_text("* broken\nR1 a 0 1k\nQ7 what\n.control\ntran 1n 1u\nwrite x.raw\n.endc\n.end\n")
    said = r"ngspice stopped after 0 of 1 runs: .*\(deck kept: .*deck.cir\)"
    with pytest.raises(tg.InputError, match=said) as caught:
        run_deck(find_ngspice(), deck, tmp_path / "x.raw", 1, ["v(a)"])
    assert "\n" not in str(caught.value)
    assert deck.exists()


def test_a_missing_ngspice_is_one_line(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(tg.InputError, match="ngspice is not installed: install it"):
        find_ngspice()
    with pytest.raises(tg.InputError, match="no/such is no program: give the path of ngspice"):
        find_ngspice("no/such")


def test_files_that_are_no_raw_files_are_refused(tmp_path):
    (tmp_path / "a.raw").write_bytes(b"hello")
    with pytest.raises(tg.InputError, match="is no binary raw file"):
        read_raw(tmp_path / "a.raw")
    head = b"Flags: real\nNo. Variables: 1\nNo. Points: 3\nVariables:\n\t0\ttime\ttime\nBinary:\n"
    (tmp_path / "b.raw").write_bytes(head + np.zeros(2).tobytes())
    with pytest.raises(tg.InputError, match="ends within a plot"):
        read_raw(tmp_path / "b.raw")
    (tmp_path / "c.raw").write_bytes(2 * (head + np.arange(3.0).tobytes()))
    plots = read_raw(tmp_path / "c.raw")
    assert [plot.names for plot in plots] == [["time"], ["time"]]
    assert np.array_equal(plots[1].values, np.arange(3.0)[:, None])
