"""Entropies and free energies against closed forms and quadrature, on small systems."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thermogen as tg
from thermogen.couplings import NoCouplings
from thermogen.thermodynamics import (
    entropy_production,
    free_energy_of_work,
    gaussian_entropy,
    log_partition,
    uncoupled_entropy,
    units_entropy,
)

KT = 0.2


def pair(J=0.6, J4=1.0, bias=0.3):
    """Two coupled units, one of them biased."""
    units = tg.Units(visible=2)
    couplings = tg.couplings.all_to_all(units).with_matrix(jnp.array([[0, J], [J, 0]]))
    return tg.make_computer(couplings, J4=J4, bias=np.array([bias, 0.0]), kT=KT)


def linear(stiffness, n=3):
    return tg.make_computer(NoCouplings(tg.Units(n)), J2=stiffness, J4=0.0, kT=KT)


def test_entropy_of_uncoupled_units_is_the_closed_form_of_linear_ones():
    computer = linear(np.array([0.5, 1.0, 4.0]))
    exact = sum(np.log(2 * np.pi * np.e * KT / (2 * J2)) / 2 for J2 in (0.5, 1.0, 4.0))
    assert uncoupled_entropy(computer) == pytest.approx(exact, abs=1e-4)


def test_entropy_of_a_quartic_unit_is_that_of_quadrature():
    computer = tg.make_computer(NoCouplings(tg.Units(1)), J2=-1.0, J4=1.0, bias=0.2, kT=KT)
    x = np.linspace(-3, 3, 200_001)
    density = np.exp(-(-(x**2) + x**4 + 0.2 * x) / KT)
    density /= density.sum() * (x[1] - x[0])
    exact = -(density * np.log(np.maximum(density, 1e-300))).sum() * (x[1] - x[0])
    assert uncoupled_entropy(computer) == pytest.approx(exact, abs=1e-4)


def test_entropies_of_samples_bound_that_of_a_correlated_gaussian():
    rng = np.random.default_rng(0)
    root = rng.normal(size=(4, 4))
    covariance = root @ root.T
    exact = np.linalg.slogdet(2 * np.pi * np.e * covariance)[1] / 2
    found = [gaussian_entropy(rng.normal(size=(40, 4)) @ root.T) for _ in range(400)]
    assert None not in found
    sem = np.std(found) / 20
    assert abs(np.mean(found) - exact) < 4 * sem  # unbiased, at forty samples
    x = rng.normal(size=(20_000, 4)) @ root.T
    alone = (np.log(2 * np.pi * np.e * np.diag(covariance)) / 2).sum()
    assert units_entropy(x) == pytest.approx(alone, abs=0.06)  # four units, 0.01 each and spacing bias
    assert alone > exact
    assert gaussian_entropy(x[:8]) is None
    with pytest.raises(tg.InputError, match="19 samples: an entropy needs 20 or more"):
        units_entropy(x[:19])


@pytest.mark.parametrize("stiffness", [0.5, 3.0])
def test_entropy_production_of_a_sudden_change_of_stiffness(stiffness):
    """Linear units from J2 = 1 to another J2: heat, both entropies and production have closed forms.

    After a long time Q/kT = (s - 1) / 2 per unit with s = J2'/J2, and Delta S = -ln(s) / 2.
    """
    count, t_f = 4000, 6.0 / stiffness
    schedule = tg.Schedule(t_f=t_f, dt=0.004 / stiffness)
    idle, computer = linear(1.0), linear(stiffness)
    samples = tg.generate(jax.random.key(0), computer, count, schedule, idle=idle, film_frames=1)
    found = entropy_production(samples, idle)
    heat = 3 * (stiffness - 1) / 2
    assert abs(found.heat - heat) < 4 * found.heat_sem + 0.01 * abs(heat)
    assert found.by_gaussian is not None
    # The standard error of a Gaussian's entropy is sqrt(N / 2n).
    change = -3 * np.log(stiffness) / 2
    assert abs(found.by_gaussian - found.start - change) < 4 * np.sqrt(3 / (2 * count)) + 0.01
    assert found.total_bound > 0
    assert abs(found.total_bound - (heat + change)) < 4 * found.heat_sem + 0.1


def test_free_energy_of_switching_two_quartic_units_on_is_that_of_quadrature():
    """< exp(-W/kT) > = Z_theta / Z_0 at the quench that generation starts with."""
    computer = pair()
    exact = log_partition(computer.uncoupled()) - log_partition(computer)
    schedule = tg.Schedule(t_f=0.02, dt=0.01)
    samples = tg.generate(jax.random.key(1), computer, 20_000, schedule, batch=5000, film_frames=1)
    found = free_energy_of_work(samples.work_kT)
    assert found.effective > 1000
    assert abs(found.delta - exact) < 4 * found.sem
    assert samples.work_kT.mean() > exact  # the second law


def test_partition_functions_of_linear_units_are_gaussian_integrals():
    units = tg.Units(visible=3)
    J = np.array([[0, 0.5, -0.3], [0.5, 0, 0.2], [-0.3, 0.2, 0]], np.float32)
    bias = np.array([0.1, 0.0, -0.2])
    computer = tg.make_computer(
        tg.couplings.all_to_all(units).with_matrix(jnp.asarray(J)), J4=0.0, bias=bias, kT=KT
    )
    A = 2 * np.eye(3) + J
    exact = (3 * np.log(2 * np.pi * KT) - np.linalg.slogdet(A)[1] + bias @ np.linalg.solve(A, bias) / KT) / 2
    assert log_partition(computer) == pytest.approx(exact, abs=1e-5)
    with pytest.raises(tg.InputError, match="4 units: quadrature is for 3 or fewer"):
        log_partition(tg.make_computer(NoCouplings(tg.Units(4))))
    with pytest.raises(tg.InputError, match="1 work value: give two or more"):
        free_energy_of_work(np.ones(1))


def test_an_average_that_rests_on_one_sample_says_so():
    work = np.r_[np.full(999, 50.0), 0.0]
    found = free_energy_of_work(work)
    assert found.effective == pytest.approx(1, abs=1e-6)
    assert found.delta == pytest.approx(np.log(1000), abs=1e-6)
    assert found.sem == pytest.approx(1, abs=0.01)


def test_detailed_balance_of_one_landscape():
    """Forward and backward under the same constant potential: ln P / P~ = -(V(x_K) - V(x_0)) / kT, by path.

    Microscopic reversibility of Langevin dynamics. The sum over steps is a trapezoid of it: what is left on
    Euler-Maruyama paths is of order dt (force part telescopes; cubes of displacements have mean zero).
    """
    left = []
    with jax.enable_x64(True):
        units = tg.Units(visible=2)
        J = jnp.array([[0, 0.6], [0.6, 0]])
        couplings = tg.couplings.all_to_all(units, dtype=jnp.float64).with_matrix(J)
        computer = tg.make_computer(couplings, bias=np.array([0.3, 0.0]), kT=KT, dtype=jnp.float64)
        for dt in (0.01, 0.0025):
            start = tg.langevin.sample_uncoupled(jax.random.key(0), computer.uncoupled(), jnp.arange(2000))
            path = tg.simulate(
                jax.random.key(1),
                computer,
                start,
                steps=round(0.5 / dt),
                dt=dt,
                observers={"x": tg.langevin.Snapshots()},
                every=1,
            ).records["x"]
            ratio = tg.thermodynamics.log_ratio(computer, computer, path, dt)
            fall = np.asarray(computer.energy(path[0]) - computer.energy(path[-1])) / KT
            left.append(np.asarray(ratio.total) - fall)
    rms = [float(np.sqrt((one**2).mean())) for one in left]
    assert rms[0] / rms[1] == pytest.approx(4, rel=0.1)
    assert rms[1] < 0.1


def test_equilibrium_looks_the_same_backwards_and_produces_no_entropy():
    """After long times <f(x_0) g(x_tau)> = <g(x_0) f(x_tau)>, and heat per time vanishes."""
    computer = pair()
    start = tg.langevin.sample_uncoupled(jax.random.key(2), computer.uncoupled(), jnp.arange(40_000))
    records = tg.simulate(
        jax.random.key(3),
        computer,
        start,
        steps=800,
        dt=0.01,
        every=50,
        observers={"x": tg.langevin.Snapshots(), "energy": tg.langevin.Energy()},
        integrator=tg.LeimkuhlerMatthews(),
    ).records
    x, energy = (np.asarray(records[name], float) for name in ("x", "energy"))
    before, after = x[-2], x[-1]
    forward, backward = before[:, 0] * after[:, 1] ** 3, after[:, 0] * before[:, 1] ** 3
    moving = np.corrcoef(before[:, 0], after[:, 0])[0, 1]
    assert 0.1 < moving < 0.9  # neither frozen nor forgotten
    difference = forward - backward
    assert abs(difference.mean()) < 4 * difference.std() / len(difference) ** 0.5
    heat = (energy[-9] - energy[-1]) / KT  # over half the run
    assert abs(heat.mean()) < 4 * heat.std() / len(heat) ** 0.5


def test_the_first_law_closes_to_rounding_with_and_without_a_control():
    """V_end - V_start = W - Q, trajectory by trajectory, in float64."""
    with jax.enable_x64(True):
        units = tg.Units(visible=5, hidden=3)
        rng = np.random.default_rng(4)
        parts = []
        for _ in range(3):
            J = rng.normal(size=(8, 8))
            couplings = tg.couplings.all_to_all(units, dtype=jnp.float64).with_matrix(jnp.asarray(J + J.T))
            parts.append(tg.make_computer(couplings, bias=rng.normal(size=8), kT=KT, dtype=jnp.float64))
        schedule = tg.Schedule(t_f=0.6, dt=0.01)
        for control in (parts[0], tg.Segments.from_computers(parts, 0.6)):
            samples = tg.generate(jax.random.key(5), control, 50, schedule)
            assert samples.heat.dtype == np.float64
            change = samples.end.total - samples.start.total
            assert np.abs(change - (samples.switching - samples.heat)).max() < 1e-12
