"""The time step from the spectrum: rates by hand, what each method makes of them, and that it holds."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thermogen as tg
from thermogen.control import PerClass
from thermogen.langevin import named_integrator
from thermogen.langevin.relaxation import Rates, relaxation_rates, step_for, whole_division

KEY = jax.random.key(11)


def harmonic(mobility=1.0, J=0.4):
    """Three units without quartic term: the rates are the same at every state."""
    couplings = tg.couplings.all_to_all(tg.Units(3))
    matrix = np.array([[0, J, 0], [J, 0, -J], [0, -J, 0]], np.float32)
    return tg.make_computer(
        couplings.with_matrix(jnp.asarray(matrix)), J2=np.array([1.0, 2, 3]), J4=0.0, mobility=mobility
    )


@pytest.mark.parametrize("mobility", [1.0, 2.5, np.array([1.0, 0.2, 3.0])])
def test_rates_of_linear_units_are_the_eigenvalues_of_mobility_times_stiffness(mobility):
    computer = harmonic(mobility)
    stiffness = 2 * np.diag([1.0, 2, 3]) + np.asarray(computer.couplings.matrix(), float)
    exact = np.linalg.eigvals(np.diag(np.broadcast_to(mobility, 3)) @ stiffness).real
    rates = relaxation_rates(KEY, computer, jnp.zeros((4, 3)), 1.0)
    assert rates.largest == pytest.approx(exact.max(), rel=1e-3)
    assert rates.mean == pytest.approx((np.broadcast_to(mobility, 3) * [2, 4, 6]).mean(), rel=1e-5)


def test_explicit_methods_break_at_two_over_the_largest_rate_and_no_earlier():
    computer = harmonic(J=1.2)
    largest = relaxation_rates(KEY, computer, jnp.zeros((4, 3)), 1.0).largest
    x = jnp.ones((50, 3))
    fine = tg.simulate(KEY, computer, x, steps=400, dt=1.9 / largest).final
    assert np.abs(fine).max() < 10
    with pytest.raises(tg.DivergenceError):
        tg.simulate(KEY, computer, x, steps=4000, dt=2.1 / largest)


def test_each_method_makes_its_own_step_of_the_rates():
    rates = Rates(largest=20.0, mean=4.0)
    euler, corrected, heun = (
        step_for(rates, named_integrator(name)) for name in ("euler", "leimkuhler-matthews", "heun")
    )
    assert euler == pytest.approx(0.01 / (0.34 * 4))
    assert corrected == pytest.approx(0.01 / (0.08 * 4))
    assert heun == pytest.approx(1 / 20)
    assert step_for(rates, named_integrator("heun"), 1e-4) == pytest.approx((1e-4 / 0.0055) ** 0.5 / 20)
    assert step_for(Rates(500.0, 4.0), named_integrator("euler")) == pytest.approx(1 / 500)
    with pytest.raises(tg.InputError, match=r"bias = 2: give a relative bias"):
        step_for(rates, named_integrator("euler"), 2)


@pytest.mark.parametrize(("dt", "multiple", "steps"), [(0.3, 1, 9), (0.25, 1, 10), (0.3, 4, 12), (9.0, 1, 1)])
def test_steps_divide_the_duration_and_the_segments(dt, multiple, steps):
    assert 2.5 / whole_division(2.5, dt, multiple) == pytest.approx(steps)


def test_the_chosen_step_leaves_the_heat_as_it_is(two_patterns, tmp_path):
    """A trained computer: the heat at the chosen step is within its bias of that at a fine one, paired."""
    from thermogen.studies.experiment import prepare

    experiment = prepare(two_patterns(tmp_path))
    computer, schedule = experiment.train().computer, experiment.schedule
    for name in ("euler", "heun"):
        method = named_integrator(name)
        dt = tg.suitable_dt(KEY, computer, schedule, method)
        assert round(schedule.t_f / dt) * dt == pytest.approx(schedule.t_f)
        assert dt == tg.suitable_dt(KEY, computer, schedule, method)
        coarse, fine = (
            tg.generate(KEY, computer, 4000, replace(schedule, dt=each), integrator=method).heat_kT
            for each in (dt, 0.0025)
        )
        error = np.hypot(coarse.std(), fine.std()) / np.sqrt(len(fine))
        assert abs(coarse.mean() - fine.mean()) < 0.01 * abs(fine.mean()) + 4 * error
    assert tg.suitable_dt(KEY, computer, schedule, bias=0.1) > tg.suitable_dt(KEY, computer, schedule)
    strong = tg.make_computer(computer.couplings, J2=20.0)
    both = PerClass.from_controls({0: computer, 1: strong})
    assert tg.suitable_dt(KEY, both, schedule) == tg.suitable_dt(KEY, strong, schedule)


def test_a_potential_that_confines_nothing_has_no_step():
    loose = harmonic(J=9.0)
    with pytest.raises(tg.DivergenceError, match="no dt is stable"):
        tg.suitable_dt(KEY, loose, tg.Schedule(dt=0.01))


def test_a_step_that_overshoots_without_leaving_all_scales_is_told():
    """Far from divergence, but a unit jumps from side to side: its heat would mean nothing."""
    steep = tg.make_computer(tg.couplings.NoCouplings(tg.Units(4)), J2=1.0, J4=1.0)
    edge = np.sqrt((2 / 0.1 - 2) / 4)  # x (1 - 0.1 (2 + 4 x^2)) = -x: an Euler step mirrors this state
    x = jnp.full((3, 4), 0.1).at[1, 2].set(1.01 * edge)
    frozen = tg.make_computer(tg.couplings.NoCouplings(tg.Units(4)), kT=1e-12)
    with pytest.raises(
        tg.DivergenceError,
        match=r"at step 1 \(batch row 1, unit 2, x = -2\.22, where a step overshoots\) with dt = 0\.1",
    ):
        tg.simulate(KEY, frozen, x, steps=1, dt=0.1)
    assert np.isfinite(tg.simulate(KEY, steep, x, steps=200, dt=0.01).final).all()
