"""Physical units: the same path in volts and seconds, textbook noise, exact round trips, clear refusals."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thermogen as tg
from thermogen.hardware import electrical, figures, mechanical, superconducting, to_physical
from thermogen.ledger import BOLTZMANN

PLATFORMS = {
    "electrical": lambda: electrical("1 fF", "1 Mohm"),
    "superconducting": lambda: superconducting("100 pH", "2 ohm", "50 mK"),
    "mechanical": lambda: mechanical("3 mN/m", "1e-8 kg/s", "293 K"),
}


def computer(dtype=jnp.float32, mobility=1.0):
    units = tg.Units(visible=5, hidden=3)
    rng = np.random.default_rng(0)
    J = rng.normal(size=(8, 8))
    couplings = tg.published_couplings(units).with_matrix(jnp.asarray(J + J.T))
    bias = rng.normal(size=8)
    return tg.make_computer(couplings, J2=1.5, J4=0.7, bias=bias, kT=0.1, mobility=mobility, dtype=dtype)


def test_the_electrical_map_is_the_measured_table():
    """C = 1 fF, R = 1 MOhm, 300 K: 9.1 mV, 5e8 /s, 5 ns, 1.4 nA for b = 0.3, 2.5 nW for 3e3 kT of heat."""
    units = tg.Units(visible=2)
    one = tg.make_computer(tg.couplings.all_to_all(units), bias=np.array([0.3, 0.0]))
    physical = to_physical(one, electrical("1 fF", "1 Mohm"))
    found = figures(physical, tg.Schedule(), heat_kT=3e3)
    assert physical.scale == pytest.approx(9.1e-3, rel=0.01)
    assert physical.rate == pytest.approx(5e8)
    assert found["time of a sample"] == (pytest.approx(5e-9), "s")
    assert found["largest bias"] == (pytest.approx(1.4e-9, rel=0.03), "A")
    assert found["power"] == (pytest.approx(2.5e-9, rel=0.01), "W")
    assert found["coupling of J = 1"][0] == pytest.approx(0.5e-6)
    assert physical.linear == pytest.approx(1e-6)  # the leak itself
    assert found["noise density"] == (pytest.approx(np.sqrt(4 * BOLTZMANN * 300 / 1e6)), "A / Hz ** 0.5")


@pytest.mark.parametrize("name", PLATFORMS)
def test_round_trips_are_exact(name):
    for dtype in (jnp.float32, jnp.float64):
        with jax.enable_x64(dtype == jnp.float64):
            one = computer(dtype, mobility=0.5)
            back = to_physical(one, PLATFORMS[name]()).computer()
            assert back.bias.dtype == one.bias.dtype
            tight = {"rtol": 0, "atol": 0} if dtype == jnp.float32 else {"rtol": 4e-16, "atol": 0}
            assert np.allclose(back.couplings.matrix(), one.couplings.matrix(), **tight)
            assert np.allclose(back.bias, one.bias, **tight)
            for part in ("J2", "J4", "mobility", "kT"):
                assert np.array_equal(getattr(back, part), getattr(one, part))


@pytest.mark.parametrize("name", PLATFORMS)
def test_the_device_moves_as_the_computer_does(name):
    """Euler-Maruyama in volts and seconds (or webers, metres) with the same noise: the same path times s.

    The device's own equation: storage element, dissipative element with its Johnson noise, drives.
    """
    with jax.enable_x64(True):
        one = computer(jnp.float64, mobility=2.0)
        platform = PLATFORMS[name]()
        physical = to_physical(one, platform)
        dt = 0.01
        rng = np.random.default_rng(1)
        x = rng.normal(size=8) * 0.3
        q, seconds = x * physical.scale, dt * physical.time_unit
        G = np.asarray(physical.couplings.apply(jnp.eye(8)), float)
        response = platform.mobility / platform.drive  # dq/dt of a unit of drive
        for _ in range(200):
            xi = rng.normal(size=8)
            gradient = np.asarray(one.gradient(jnp.asarray(x)))
            x = x - 2.0 * gradient * dt + np.sqrt(2 * 2.0 * 0.1 * dt) * xi
            drive = -(physical.linear * q + physical.cubic * q**3 + physical.bias + G @ q)
            white = platform.noise_density * np.sqrt(1 / (2 * seconds)) * xi  # one-sided density, band 1/2dt
            q = q + response * (drive + white) * seconds
        assert np.allclose(q / physical.scale, x, rtol=1e-9)


def test_a_unit_without_wall_has_the_equipartition_of_its_element():
    """K <q^2> / 2 = k_B T / 2, whatever the platform: kT / (2 J2) of thermal width squared, in volts."""
    for make in PLATFORMS.values():
        physical = to_physical(computer(), make())
        variance = physical.scale**2 * 0.1 / (2 * 1.5)
        assert physical.platform.stiffness * variance == pytest.approx(physical.platform.thermal_energy)
        width = figures(physical, tg.Schedule())["thermal width"][0]
        assert width == pytest.approx(np.sqrt(variance))


@pytest.mark.parametrize(("make", "message"), [
    (lambda: electrical("1 ohm", "1 ohm"), "capacitance = 1 ohm: give a value in farad"),
    (lambda: electrical("1 fF", "-1 ohm"), "resistance = -1 ohm: give a positive value in ohm"),
    (lambda: electrical(3.0, "1 ohm"), "capacitance = 3.0: give a value in farad"),
    (lambda: electrical("1 fFx", "1 ohm"), "capacitance = 1 fFx: give a value in farad"),
    (lambda: superconducting("0 H", "1 ohm"), "inductance = 0 H: give a positive"),
    (lambda: mechanical("1 N/m", "1 kg"), "friction = 1 kg: give a value in kilogram / second"),
    (lambda: electrical("1 fF", "1 ohm", "0 K"), "temperature = 0 K: give a positive"),
])  # fmt: skip
def test_elements_of_another_dimension_are_refused(make, message):
    with pytest.raises(tg.InputError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_computers_that_cannot_be_wired_are_refused():
    units = tg.Units(visible=2)
    platform = electrical("1 fF", "1 Mohm")
    bare = tg.couplings.all_to_all(units)
    with pytest.raises(tg.InputError, match=r"J4 = 0: a unit needs a wall"):
        to_physical(tg.make_computer(bare, J4=0.0), platform)
    with pytest.raises(tg.InputError, match=r"J2 = -1: a unit needs a storage element"):
        to_physical(tg.make_computer(bare, J2=-1.0), platform)
    with pytest.raises(tg.InputError, match="units are not alike"):
        to_physical(tg.make_computer(bare, J2=np.array([1.0, 2.0])), platform)
    still = eqx.tree_at(lambda c: c.mobility, tg.make_computer(bare), jnp.zeros(()))
    with pytest.raises(tg.InputError, match="mobility = 0: a unit needs a dissipative element"):
        to_physical(still, platform)
