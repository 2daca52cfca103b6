"""Imperfect devices: the perfect one is the computer; linear ones against exact linear algebra."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import linalg

import thermogen as tg
from thermogen.control import LabelFields, ModeTable
from thermogen.couplings import NoCouplings, checked_factors, planes, quantised
from thermogen.errors import DivergenceError, InputError
from thermogen.hardware.imperfect.couplers import on_grid
from thermogen.hardware.imperfect.device import Dynamics, make_device
from thermogen.hardware.imperfect.imperfections import NAMES, Imperfections, places
from thermogen.hardware.imperfect.run import run_device

UNITS = tg.Units(visible=4, hidden=3)
KEY = jax.random.key(5)
SCHEDULE = tg.Schedule(t_f=1.0, dt=0.02, readout=0.2)


def symmetric(total, scale, seed=0):
    matrix = np.random.default_rng(seed).normal(size=(total, total)) * scale
    matrix = matrix + matrix.T
    np.fill_diagonal(matrix, 0)
    return matrix


def computer(J4=1.0, scale=0.3, dtype=jnp.float32, wiring=tg.published_couplings):
    """Blocks with random couplings and biases; J2 differs from unit to unit."""
    couplings = wiring(UNITS).with_matrix(jnp.asarray(symmetric(7, scale), jnp.float32))
    bias = np.random.default_rng(1).normal(size=7) * 0.3
    return tg.make_computer(couplings, J2=np.linspace(0.8, 1.4, 7), J4=J4, bias=bias, dtype=dtype)


def edges():
    units = tg.Units(visible=4, hidden=4)
    couplings = planes(units, 2, 2).with_matrix(jnp.asarray(symmetric(8, 0.4), jnp.float32))
    return tg.make_computer(couplings, bias=0.1)


def low_rank():
    rng = np.random.default_rng(2)
    hidden = rng.normal(size=(3, 2)) * 0.5
    left = {"visible-hidden": rng.normal(size=(4, 2)) * 0.5, "hidden-hidden": hidden * [1.0, -0.7]}
    right = {"visible-hidden": rng.normal(size=(3, 2)) * 0.5, "hidden-hidden": hidden}
    as_float = [{link: np.asarray(one, np.float32) for link, one in side.items()} for side in (left, right)]
    return tg.make_computer(checked_factors(UNITS, *as_float), bias=0.1)


def modes(segments=1):
    rng = np.random.default_rng(3)
    mixing = rng.normal(size=(3, segments, 2, 2)) * 0.4
    return ModeTable(
        reference=tg.make_computer(NoCouplings(UNITS)),
        basis=jnp.asarray(rng.normal(size=(7, 2)), jnp.float32),
        mixing=jnp.asarray(mixing + np.swapaxes(mixing, 2, 3), jnp.float32),
        bias=jnp.asarray(rng.normal(size=(3, segments, 7)), jnp.float32),
        weights=jnp.asarray([0.3, 0.3, 0.4], jnp.float32),
        classes=(1, 1, 4),
        duration=1.0,
    )


def label_fields():
    fields = jnp.asarray(np.random.default_rng(4).normal(size=(3, 7)), jnp.float32)
    weights = jnp.asarray([0.3, 0.3, 0.4], jnp.float32)
    return LabelFields(reference=computer(), fields=fields, weights=weights, classes=(1, 1, 4))


CONTROLS = {
    "blocks": computer,
    "edges": edges,
    "low-rank": low_rank,
    "modes": modes,
    "label fields": label_fields,
    "none": lambda: computer().uncoupled(),
}


def z(values, exact):
    """Distance of the mean of independent values from the exact one, in standard errors."""
    values = np.asarray(values, float)
    return np.abs(values.mean(0) - exact) / (values.std(0, ddof=1) / np.sqrt(len(values)))


# --- the perfect device ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CONTROLS)
def test_perfect_device_gives_what_generation_gives(name):
    control = CONTROLS[name]()
    asked = tg.generate(KEY, control, 30, SCHEDULE)
    found = run_device(KEY, make_device(jax.random.key(1), control), 30, SCHEDULE)
    # Sums of seven units may be taken in another order: equal to the rounding of float32.
    np.testing.assert_allclose(found.x, asked.x, rtol=0, atol=1e-6)
    np.testing.assert_allclose(found.visible, asked.visible, rtol=0, atol=1e-6)
    rounding = 50 * 7 * 2.0**-23 * np.abs(asked.heat_kT).max()  # steps x units x precision
    np.testing.assert_allclose(found.heat_kT, asked.heat_kT, rtol=0, atol=rounding)
    np.testing.assert_allclose(found.work_kT, asked.work_kT, rtol=0, atol=rounding)
    if asked.labels is not None:
        np.testing.assert_array_equal(found.labels, asked.labels)
        np.testing.assert_array_equal(found.conditions, asked.conditions)


def test_samples_do_not_depend_on_the_batch_and_imperfections_of_size_zero_change_nothing():
    device = make_device(jax.random.key(1), modes(), Imperfections(noise_time=1e-9, linear_range=1e6))
    perfect = make_device(jax.random.key(1), modes())
    whole, parts = run_device(KEY, perfect, 20, SCHEDULE), run_device(KEY, perfect, 20, SCHEDULE, batch=7)
    np.testing.assert_allclose(whole.x, parts.x, rtol=0, atol=1e-6)
    np.testing.assert_allclose(whole.heat_kT, parts.heat_kT, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(run_device(KEY, device, 20, SCHEDULE).x, whole.x, rtol=0, atol=1e-6)


def test_labels_ask_for_classes():
    found = run_device(KEY, make_device(KEY, modes()), 6, SCHEDULE, labels=[4] * 6)
    assert set(found.conditions) == {2}
    assert len(found) == 6


# --- linear devices, exactly ----------------------------------------------------------------------------


def linear(device, schedule, switching=None):
    """Exact mean, second moment and heat (E0) of a device without J4, by its own steps, in float64."""
    d = device.dynamics
    J2, mu, bath, offset, b = (np.asarray(one, float) for one in (d.J2, d.mobility, d.bath, d.offset, d.bias))
    J, dt = device.matrix().astype(float), schedule.dt
    m = offset / (2 * J2)
    S = np.diag(bath / (2 * J2)) + np.outer(m, m)
    heat = [np.sum(J2 * np.diag(S) - offset * m)]
    for k in range(schedule.steps):
        on = 1.0 if switching is None else 1 - np.exp(-k * dt / switching)
        A = np.eye(len(J)) - dt * mu[:, None] * (np.diag(2 * J2) + on * J)
        c = mu * dt * (offset - on * b)
        cross = A @ S + np.outer(c, m)  # E[x' x]
        next_m = A @ m + c
        moved = A @ m
        next_S = A @ S @ A.T + np.outer(moved, c) + np.outer(c, moved) + np.outer(c, c)
        next_S = next_S + np.diag(2 * mu * bath * dt)
        strain = np.sum(J * (next_S - S + cross - cross.T)) / 2
        heat.append(-on * (b @ (next_m - m) + strain))
        m, S = next_m, next_S
    heat.append(-np.sum(J2 * np.diag(S) - offset * m))
    return m, S, np.array(heat)


LINEAR = {
    "asymmetric": {"asymmetry": 0.8},
    "in a temperature gradient": {"temperature_gradient": 0.7},
    "mismatched": {"mismatch_J2": 0.2, "mismatch_mobility": 0.3, "offset": 0.2, "coupling_error": 0.3},
    "all of it": {"asymmetry": 0.5, "temperature_gradient": -0.5, "excess_noise": 0.4, "dead": 0.2,
                  "offset": 0.1, "mismatch_mobility": 0.2, "bits": 4},
}  # fmt: skip


@pytest.mark.parametrize("name", LINEAR)
def test_linear_device_has_the_exact_moments_and_heat(name):
    device = make_device(jax.random.key(2), computer(J4=0.0, scale=0.25), Imperfections(**LINEAR[name]))
    schedule = tg.Schedule(t_f=4.0, dt=0.04)
    m, S, heat = linear(device, schedule)
    found = run_device(KEY, device, 8000, schedule, batch=4000)
    assert z(found.x, m).max() < 4
    x = found.x.astype(float)
    assert z(x[:, :, None] * x[:, None, :], S).max() < 4.5  # 28 distinct entries
    assert z(found.heat_kT, heat.sum() / 0.1) < 4


def test_stationary_covariance_and_housekeeping_heat_of_asymmetric_couplings():
    device = make_device(jax.random.key(2), computer(J4=0.0, scale=0.25), Imperfections(asymmetry=0.8))
    J = device.matrix().astype(float)
    assert np.abs(J - J.T).max() > 0.2
    K = np.diag(2 * np.asarray(device.dynamics.J2, float)) + J
    lyapunov = linalg.solve_continuous_lyapunov(K, 2 * 0.1 * np.eye(7))  # K S + S K^T = 2 kT, mu = 1
    # <F o dx/dt> = mu (tr K S K^T - kT tr K): what never stops where no energy exists.
    rate = np.trace(K @ lyapunov @ K.T) - 0.1 * np.trace(K)
    assert rate > 0.01
    errors = []
    for dt in (0.02, 0.01, 0.005):
        m, S, heat = linear(device, tg.Schedule(t_f=16.0, dt=dt))
        errors.append([np.abs(S - np.outer(m, m) - lyapunov).max(), abs(heat[-2] / dt - rate)])
    ratio = np.array(errors)[:-1] / np.array(errors)[1:]
    assert np.all((ratio > 1.8) & (ratio < 2.2))  # first order in dt, towards the exact values
    # Paths that differ by their second half alone: its heat is housekeeping.
    schedule, longer = (tg.Schedule(t_f=t, dt=0.02) for t in (5.0, 15.0))
    short, long = (run_device(KEY, device, 3000, one, batch=3000) for one in (schedule, longer))
    exact = linear(device, longer)[2].sum() - linear(device, schedule)[2].sum()
    assert z(long.heat_kT - short.heat_kT, exact / 0.1) < 4
    assert abs(exact / 10.0 - rate) < 0.05 * rate  # what remains is the step's own error


def joint(matrix, noise, start, steps):
    """Covariance after so many steps of y' = M y + B xi."""
    S = start
    for _ in range(steps):
        S = matrix @ S @ matrix.T + noise @ noise.T
    return S


def one_unit(J2=1.0):
    return tg.make_computer(NoCouplings(tg.Units(1)), J4=0.0, J2=J2)


def test_coloured_noise_has_the_exact_variance():
    tau, kT, k = 0.3, 0.1, 2.0

    def variance(dt, steps):
        r, sigma = np.exp(-dt / tau), np.sqrt(2 * kT * dt)
        M = np.array([[1 - k * dt, r], [0, r]])  # (x, n): the step takes the noise of its own end
        B = np.array([[1 - r], [1 - r]]) * sigma
        start = np.diag([kT / k, sigma**2 * (1 - r) / (1 + r)])
        return joint(M, B, start, steps)[0, 0]

    formula = kT / (k * (1 + k * tau))  # of a harmonic unit in Ornstein-Uhlenbeck noise
    errors = [abs(variance(dt, int(12 / dt)) - formula) for dt in (0.02, 0.01)]
    assert errors[0] < 0.03 * formula
    assert 1.8 < errors[0] / errors[1] < 2.2
    device = make_device(KEY, one_unit(), Imperfections(noise_time=tau))
    for t_f in (0.4, 4.0):
        schedule = tg.Schedule(t_f=t_f, dt=0.02)
        found = run_device(KEY, device, 20000, schedule, batch=20000)
        assert z(found.x[:, 0].astype(float) ** 2, variance(0.02, schedule.steps)) < 4


def test_low_pass_and_read_out_noise_have_the_exact_variance():
    tau, kT, k, dt, s = 0.4, 0.1, 2.0, 0.02, 0.05
    f, sigma = 1 - np.exp(-dt / tau), np.sqrt(2 * kT * dt)
    M = np.array([[1 - k * dt, 0], [f * (1 - k * dt), 1 - f]])
    B = np.array([[sigma], [f * sigma]])
    schedule = tg.Schedule(t_f=3.0, dt=dt)
    exact = joint(M, B, np.diag([kT / k, 0]), schedule.steps)
    device = make_device(KEY, one_unit(), Imperfections(readout_time=tau, readout_noise=s))
    found = run_device(KEY, device, 20000, schedule, batch=20000)
    assert z(found.visible[:, 0].astype(float) ** 2, exact[1, 1] + s**2) < 4
    assert z(found.x[:, 0].astype(float) ** 2, exact[0, 0]) < 4
    assert abs(exact[1, 1] - kT / k / (1 + k * tau)) < 0.03 * exact[1, 1]  # a pole after a pole
    again = run_device(KEY, device._replace(imperfections=Imperfections(readout_time=tau)), 20000, schedule,
                       batch=20000)  # fmt: skip
    np.testing.assert_array_equal(again.x, found.x)
    error = found.visible - again.visible
    assert z(error[:, 0].astype(float) ** 2, s**2) < 4


def test_quartic_unit_rests_at_its_own_temperature():
    control = tg.make_computer(NoCouplings(tg.Units(9)))
    wrong = Imperfections(temperature_gradient=0.5, excess_noise=0.2)
    device = make_device(KEY, control, wrong)
    x = np.asarray(device.start(KEY, jnp.arange(20000)), float)
    grid = np.linspace(-3, 3, 6001)
    for unit, kT in ((0, 0.05 * 1.2), (4, 0.1 * 1.2), (8, 0.15 * 1.2)):
        density = np.exp(-(grid**2 + grid**4) / kT)
        assert z(x[:, unit] ** 2, np.sum(grid**2 * density) / density.sum()) < 4


# --- heat and work --------------------------------------------------------------------------------------


@pytest.fixture
def float64():
    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize("tau", [0.0, 0.3])
def test_first_law_closes_with_and_without_a_switching_time(float64, tau):
    wrong = Imperfections(switching_time=tau, coupling_error=0.2, offset=0.1, mismatch_J4=0.2)
    device = make_device(jax.random.key(3), computer(dtype=jnp.float64), wrong)
    d, found = device.dynamics, run_device(KEY, device, 20, SCHEDULE)
    start, end = device.start(KEY, jnp.arange(20)), jnp.asarray(found.x)
    on = d.on(SCHEDULE.t_f)
    change = d.site(end) + on * d.switched(end, d.pull(end)) - d.site(start)
    np.testing.assert_allclose(found.work_kT - found.heat_kT, np.asarray(change / d.kT), atol=1e-9)


def test_mean_heat_of_a_linear_switching_transient_is_exact():
    device = make_device(KEY, computer(J4=0.0, scale=0.25), Imperfections(switching_time=0.5, asymmetry=0.5))
    schedule = tg.Schedule(t_f=2.0, dt=0.04)
    m, _, heat = linear(device, schedule, switching=0.5)
    found = run_device(KEY, device, 8000, schedule, batch=8000)
    assert z(found.x, m).max() < 4
    assert z(found.heat_kT, heat.sum() / 0.1) < 4


def test_slow_switching_costs_less_work_and_the_limit_is_a_sudden_one():
    control = computer()
    sudden, fast, slow = (
        run_device(KEY, make_device(KEY, control, Imperfections(switching_time=tau)), 500, SCHEDULE)
        for tau in (0.0, 1e-4, 0.5)
    )
    # One step of 0.02 late: the work differs by the heat of that step.
    assert abs(sudden.work_kT.mean() - fast.work_kT.mean()) < 0.1 * abs(sudden.work_kT).mean() + 0.5
    assert z(slow.work_kT - sudden.work_kT, 0.0) > 4
    assert slow.work_kT.mean() < sudden.work_kT.mean()


def test_energy_that_is_switched_on_is_the_work_along_rays(float64):
    wrong = Imperfections(linear_range=0.4, asymmetry=0.5)
    d = make_device(KEY, computer(dtype=jnp.float64), wrong).dynamics
    x = jnp.asarray(np.random.default_rng(0).normal(size=7))

    def energy(scale):
        return d.switched(scale * x, d.pull(scale * x))

    for scale in (1.0, 0.3, 1e-3):
        force = -(d.bias + d.pull(scale * x))
        np.testing.assert_allclose(jax.grad(energy)(scale), -force @ x, rtol=1e-6)


# --- each imperfection does what it says ----------------------------------------------------------------


def test_stored_values_lie_on_the_grid_and_biases_on_theirs():
    control = computer()
    device = make_device(KEY, control, Imperfections(bits=3, bias_bits=4))
    expected = quantised(control.couplings, 3)
    np.testing.assert_allclose(device.matrix(), expected.matrix(), atol=1e-7)
    step = np.abs(control.bias).max() / 7
    level = np.asarray(device.dynamics.bias) / step
    np.testing.assert_allclose(level, np.round(level), atol=1e-5)
    assert np.abs(level).max() == pytest.approx(7)
    np.testing.assert_allclose(on_grid(jnp.asarray([1.0, 0.3, -0.2, 0.0]), 2), [1, 0, 0, 0])
    np.testing.assert_array_equal(on_grid(jnp.zeros(3), 2), np.zeros(3))


def test_edges_factors_and_modes_are_stored_on_grids():
    values = np.unique(np.abs(make_device(KEY, edges(), Imperfections(bits=3)).dynamics.wires.above))
    np.testing.assert_allclose(values / values.max() * 3, np.round(values / values.max() * 3), atol=1e-5)
    wires = make_device(KEY, modes(), Imperfections(bits=3)).dynamics.wires
    for factor in (wires.sense, wires.mixing):
        level = np.asarray(factor / jnp.abs(factor).max() * 3)
        np.testing.assert_allclose(level, np.round(level), atol=1e-5)
    control = low_rank()
    plain = np.asarray(control.couplings.matrix())
    coarse, fine = (make_device(KEY, control, Imperfections(bits=bits)).matrix() for bits in (3, 12))
    np.testing.assert_allclose(coarse, coarse.T, atol=1e-6)
    np.testing.assert_allclose(np.diag(coarse), 0, atol=1e-6)
    assert np.abs(coarse - plain).max() > 0.05
    # Two modes, each factor at most 2 and off by half a step of 2 / 2047.
    assert 0 < np.abs(fine - plain).max() < 2 * 2 * 2 * (1 / 2047)


def test_limited_couplings_are_clipped_block_by_block():
    control = computer()
    blocks = control.couplings.blocks
    found = make_device(KEY, control, Imperfections(coupling_limit=0.4)).matrix()
    visible_hidden = found[UNITS.slice("visible"), UNITS.slice("hidden")]
    bound = 0.4 * np.abs(blocks["visible-hidden"]).max()
    np.testing.assert_allclose(visible_hidden, np.clip(blocks["visible-hidden"], -bound, bound), rtol=1e-6)


def test_dead_couplers_and_errors_are_alike_in_both_directions():
    units = tg.Units(visible=50, hidden=50)
    wiring = tg.couplings.all_to_all(units).with_matrix(jnp.asarray(symmetric(100, 1.0), jnp.float32))
    control = tg.make_computer(wiring)
    J, upper = np.asarray(wiring.matrix()), np.triu_indices(100, 1)
    found = make_device(KEY, control, Imperfections(dead=0.3, coupling_error=0.1)).matrix()
    np.testing.assert_array_equal(found, found.T)
    dead = (found[upper] == 0).astype(float)
    assert z(dead, 0.3) < 4
    alive = found[upper][dead == 0] / J[upper][dead == 0] - 1
    assert z(alive, 0.0) < 4
    assert z(alive**2, 0.01) < 4
    # Asymmetry adds an independent factor in each direction.
    found = make_device(KEY, control, Imperfections(asymmetry=0.2)).matrix()
    one, other = (found[upper] / J[upper] - 1, found.T[upper] / J[upper] - 1)
    assert z(one**2, 0.04) < 4
    assert z(one * other, 0.0) < 4


def test_senses_and_drives_of_modes_err_apart_only_where_they_are_asymmetric():
    alike = make_device(KEY, modes(), Imperfections(coupling_error=0.2)).dynamics.wires
    np.testing.assert_array_equal(alike.sense, alike.drive)
    np.testing.assert_allclose(alike.mixing, jnp.swapaxes(alike.mixing, 1, 2))
    ratio = np.asarray(alike.mixing / modes().mixing[:, 0])
    np.testing.assert_allclose(ratio[0], ratio[1], rtol=1e-5)  # the same couplers for all conditions
    apart = make_device(KEY, modes(), Imperfections(asymmetry=0.2))
    assert np.abs(apart.dynamics.wires.sense - apart.dynamics.wires.drive).max() > 0.05
    J = apart.matrix(condition=1)
    x = jnp.asarray(np.random.default_rng(0).normal(size=7), jnp.float32)
    wires = apart.select(np.array([1])).wires
    np.testing.assert_allclose(J @ x, wires.apply(x[None])[0], rtol=2e-4, atol=1e-5)
    np.testing.assert_allclose(J, wires.drive @ wires.mixing[0] @ wires.sense.T, rtol=2e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["blocks", "edges", "low-rank", "modes"])
def test_directions_of_a_coupler_differ_only_by_asymmetry(name):
    control = CONTROLS[name]()
    condition = 0 if name == "modes" else None
    even = make_device(KEY, control, Imperfections(coupling_error=0.3, dead=0.1)).matrix(condition)
    odd = make_device(KEY, control, Imperfections(asymmetry=0.3)).matrix(condition)
    np.testing.assert_allclose(even, even.T, rtol=1e-5, atol=1e-6)
    assert np.abs(odd - odd.T).max() > 0.01
    plain = make_device(KEY, control).matrix(condition)
    assert np.all((odd[plain == 0]) == 0) or name in ("low-rank", "modes")


def test_saturating_couplers_pull_with_their_limited_input():
    d = make_device(KEY, computer(), Imperfections(linear_range=0.5)).dynamics
    x = jnp.asarray(np.linspace(-2, 2, 7), jnp.float32)
    J = np.asarray(computer().couplings.matrix())
    np.testing.assert_allclose(d.pull(x), J @ (0.5 * np.tanh(x / 0.5)), rtol=1e-4, atol=1e-6)


def test_mismatches_are_drawn_unit_by_unit_and_scale_with_their_size():
    control = tg.make_computer(NoCouplings(tg.Units(3000)))
    wrong = Imperfections(mismatch_J2=0.1, mismatch_J4=0.2, mismatch_mobility=0.3)
    devices = [make_device(jax.random.key(number), control, wrong).dynamics for number in range(8)]
    logs = [
        np.log(np.concatenate([np.asarray(getattr(d, name), float) for d in devices]))
        for name in ("J2", "J4", "mobility")
    ]
    for log, s in zip(logs, (0.1, 0.2, 0.3), strict=True):
        assert z(log, 0.0) < 4
        assert z(log**2, s**2) < 4
        assert z(log * np.roll(logs[0], 1), 0.0) < 4
    twice = make_device(jax.random.key(0), control, Imperfections(mismatch_J2=0.2)).dynamics
    np.testing.assert_allclose(np.log(np.asarray(twice.J2, float)), 2 * logs[0][:3000], atol=1e-5)


def test_temperature_follows_the_rows_of_the_image():
    units = tg.Units(visible=6, hidden=3)
    np.testing.assert_allclose(places(units, (3, 2)), [0, 0, 0.5, 0.5, 1, 1, 0, 0.5, 1])
    control = tg.make_computer(NoCouplings(units))
    device = make_device(KEY, control, Imperfections(temperature_gradient=0.5), image_shape=(3, 2))
    np.testing.assert_allclose(device.dynamics.bath[:6:2], [0.05, 0.1, 0.15], rtol=1e-6)
    with pytest.raises(InputError, match=r"image_shape = \(2, 2\) for 6 visible units"):
        make_device(KEY, control, image_shape=(2, 2))


# --- devices, streams, combinations -----------------------------------------------------------------------


def test_one_imperfection_does_not_redraw_another():
    sizes = {
        "coupling_error": 0.2, "asymmetry": 0.1, "dead": 0.2, "offset": 0.1, "mismatch_J2": 0.1,
        "mismatch_J4": 0.1, "mismatch_mobility": 0.1,
    }  # fmt: skip
    control = computer()
    both = make_device(KEY, control, Imperfections(**sizes))
    for name, where in (("offset", "offset"), ("mismatch_J2", "J2"), ("mismatch_mobility", "mobility")):
        alone = make_device(KEY, control, Imperfections(**{name: sizes[name]}))
        np.testing.assert_array_equal(getattr(alone.dynamics, where), getattr(both.dynamics, where))
    alone = {
        name: make_device(KEY, control, Imperfections(**{name: sizes[name]})).matrix()
        for name in ("coupling_error", "asymmetry", "dead")
    }
    J = np.asarray(control.couplings.matrix())
    product = np.prod([one / np.where(J == 0, 1, J) for one in alone.values()], axis=0) * J
    np.testing.assert_allclose(both.matrix(), product, rtol=1e-4, atol=1e-6)
    again = make_device(KEY, control, Imperfections(**sizes))
    np.testing.assert_array_equal(again.matrix(), both.matrix())
    other = make_device(jax.random.key(6), control, Imperfections(**sizes))
    assert np.abs(other.matrix() - both.matrix()).max() > 0.01


def test_everything_at_once_runs():
    wrong = Imperfections(
        bits=5, bias_bits=5, coupling_limit=0.8, mismatch_J2=0.05, mismatch_J4=0.05, mismatch_mobility=0.05,
        offset=0.02, coupling_error=0.05, asymmetry=0.05, dead=0.05, linear_range=1.0,
        temperature_gradient=0.1, excess_noise=0.1, noise_time=0.02, readout_noise=0.01, readout_time=0.02,
        switching_time=0.02,
    )  # fmt: skip
    assert set(wrong.present()) == set(NAMES)
    for control in (CONTROLS[name]() for name in ("blocks", "edges", "low-rank", "modes", "label fields")):
        found = run_device(KEY, make_device(KEY, control, wrong), 8, SCHEDULE)
        assert np.isfinite(found.visible).all()
        assert np.isfinite(found.heat_kT).all()


def test_another_value_compiles_nothing_new(monkeypatch):
    traced, plain = [], Dynamics.pull
    monkeypatch.setattr(Dynamics, "pull", lambda self, x: traced.append(1) or plain(self, x))
    for value in (0.1, 0.2, 0.3):
        wrong = Imperfections(
            mismatch_J2=value, coupling_error=value, noise_time=value, linear_range=1 + value
        )
        run_device(KEY, make_device(KEY, computer(), wrong), 11, SCHEDULE)
        traced.append(0)
    assert sum(traced) == sum(traced[: traced.index(0)]) > 0


# --- refusals -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("bits", 1), ("bits", 2.5), ("bias_bits", 30), ("coupling_limit", 0), ("coupling_limit", 1.5),
        ("dead", 1.0), ("dead", -0.1), ("linear_range", 0.0), ("temperature_gradient", 1.0),
        ("mismatch_J2", -0.1), ("excess_noise", float("nan")), ("noise_time", float("inf")),
        ("readout_noise", -1), ("switching_time", -1), ("asymmetry", -0.1), ("noise", 0.1),
    ],
)  # fmt: skip
def test_impossible_values_are_refused_by_name(name, value):
    with pytest.raises(InputError, match=name) as caught:
        Imperfections.named(name, value)
    assert "\n" not in str(caught.value)


def test_a_named_imperfection_is_added_to_a_base():
    both = Imperfections.named("bits", 4.0, Imperfections(dead=0.1))
    assert both == Imperfections(bits=4, dead=0.1)
    assert both.present() == {"bits": 4, "dead": 0.1}


def test_what_a_device_cannot_follow_is_refused():
    with pytest.raises(InputError, match="2 segments"):
        make_device(KEY, modes(segments=2))
    with pytest.raises(InputError, match="cannot follow Segments"):
        make_device(KEY, tg.Segments.from_computers([computer()] * 2, 1.0))
    device = make_device(KEY, computer())
    with pytest.raises(InputError, match="count = 0"):
        run_device(KEY, device, 0)
    with pytest.raises(InputError, match="labels are given"):
        run_device(KEY, device, 1, labels=[0])
    with pytest.raises(InputError, match="lasts 1,"):
        run_device(KEY, make_device(KEY, modes()), 1, tg.Schedule(t_f=2.0, dt=0.02))
    with pytest.raises(InputError, match="label 7 was not trained"):
        run_device(KEY, make_device(KEY, modes()), 1, SCHEDULE, labels=[7])
    with pytest.raises(DivergenceError, match=r"dt = 0\.5: try dt = 0\.05"):
        run_device(KEY, make_device(KEY, computer(scale=3.0)), 20, tg.Schedule(t_f=10.0, dt=0.5))
