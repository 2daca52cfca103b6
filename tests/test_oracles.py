"""The strongest checks of the core: exact results, automatic differentiation, identities, orders."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, linalg

import thermogen as tg
from thermogen.langevin import INTEGRATORS, named_integrator, sample_keys
from thermogen.noising import noising_start, noising_stretch

UNITS = tg.Units(visible=5, hidden=4)


def symmetric(total, scale=0.3, seed=0):
    matrix = np.random.default_rng(seed).normal(size=(total, total)) * scale
    matrix = matrix + matrix.T
    np.fill_diagonal(matrix, 0)
    return matrix


@pytest.fixture
def float64():
    with jax.enable_x64(True):
        yield


def z(values, exact):
    """Distance of the mean of independent values from the exact one, in standard errors."""
    values = np.asarray(values, float)
    return np.abs(values.mean(0) - exact) / (values.std(0, ddof=1) / np.sqrt(len(values)))


def ou(J, J2, kT, x0, t):
    """Exact mean and covariance of dx = -(2 J2 + J) x dt + sqrt(2 kT) dW at time t, mu = 1."""
    A = 2 * J2 * np.eye(len(J)) + J
    decay = linalg.expm(-A * t)
    equilibrium = kT * np.linalg.inv(A)
    return decay @ x0, equilibrium - decay @ equilibrium @ decay.T


def test_linear_computer_has_the_exact_ou_mean_and_covariance():
    J, x0 = symmetric(9, 0.1), np.linspace(-1, 1, 9)
    computer = tg.make_computer(
        tg.couplings.all_to_all(UNITS).with_matrix(jnp.asarray(J, jnp.float32)), J4=0.0
    )
    start = jnp.broadcast_to(jnp.asarray(x0, jnp.float32), (8000, 9))
    x = tg.simulate(
        jax.random.key(0), computer, start, steps=50, dt=0.01, integrator=tg.StochasticHeun()
    ).final
    mean, covariance = ou(J, 1.0, 0.1, x0, 0.5)
    x = np.asarray(x)
    assert z(x, mean).max() < 4
    products = (x - mean)[:, :, None] * (x - mean)[:, None, :]
    assert z(products, covariance).max() < 4.5  # 45 distinct entries


@pytest.mark.parametrize(("name", "order"), [("euler", 1), ("heun", 2)])
def test_weak_order_at_finite_time_is_as_stated(float64, name, order):
    # For a linear computer the one-step map of mean and covariance is exact: read it off the integrator.
    J, x0, t = symmetric(4, 0.2, seed=1), np.array([1.0, -0.5, 0.3, 0.8]), 1.0
    A = 2 * np.eye(4) + J
    mean, covariance = ou(J, 1.0, 0.1, x0, t)
    errors = []
    for steps in (10, 20, 40, 80):
        dt = t / steps
        sigma = np.sqrt(2 * 0.1 * dt)

        def step(x, noise, dt=dt, sigma=sigma):
            integrator = named_integrator(name)
            return np.asarray(
                integrator.step(
                    lambda y, s: -y @ jnp.asarray(A), jnp.asarray(x), 0.0, dt, sigma, noise, noise
                )
            )

        M = step(np.eye(4), np.zeros((4, 4))).T
        B = step(np.zeros((4, 4)), np.eye(4)).T
        m, C = x0.copy(), np.zeros((4, 4))
        for _ in range(steps):
            m, C = M @ m, M @ C @ M.T + B @ B.T
        errors.append(max(np.abs(m - mean).max(), np.abs(C - covariance).max()))
    slope = np.polyfit(np.log([10, 20, 40, 80]), np.log(errors), 1)[0]
    assert -slope == pytest.approx(order, abs=0.15)
    assert named_integrator(name).weak_order == order


def test_leimkuhler_matthews_has_the_exact_equilibrium_variance_of_a_linear_unit(float64):
    # x' = (1 - a) x + s (xi + xi') / 2 has variance kT / (2 J2) at every dt; Euler misses it by order dt.
    a, kT = 0.3, 0.1
    s2 = 2 * kT * (a / 2)
    covariance = s2 / 2 / 2  # with the shared increment: E[x xi'] = s / 2
    variance = (s2 / 2 + 2 * (1 - a) * covariance) / (1 - (1 - a) ** 2)
    assert variance == pytest.approx(kT / 2)
    computer = tg.make_computer(tg.published_couplings(tg.Units(20, 20)), J4=0.0)
    x = tg.simulate(
        jax.random.key(1),
        computer,
        jnp.zeros((2000, 40)),
        steps=60,
        dt=a / 2,
        integrator=tg.LeimkuhlerMatthews(),
    ).final
    assert z((x**2).mean(1), variance) < 4
    euler = tg.simulate(jax.random.key(1), computer, jnp.zeros((2000, 40)), steps=60, dt=a / 2).final
    assert z((euler**2).mean(1), kT / 2) > 20
    assert z((euler**2).mean(1), s2 / (1 - (1 - a) ** 2)) < 4


def boltzmann_moment(power, J2, J4, b, kT):
    def weight(x):
        return np.exp(-(J2 * x**2 + J4 * x**4 + b * x) / kT)

    top, bottom = (
        integrate.quad(lambda x, n=n: x**n * weight(x), -6, 6, points=[0, 0.7, -0.7])[0] for n in (power, 0)
    )
    return top / bottom


@pytest.mark.parametrize(
    ("J2", "J4", "b", "kT"),
    [(1, 1, 0, 0.1), (1, 1, -4, 0.1), (1, 0, 0.5, 0.3), (-1, 1, 0.1, 0.1), (0, 1, 0, 1)],
)
def test_sampled_equilibrium_has_the_moments_of_quadrature(J2, J4, b, kT):
    computer = tg.make_computer(tg.published_couplings(tg.Units(30, 20)), J2=J2, J4=J4, bias=b, kT=kT)
    x = (
        np.asarray(tg.langevin.sample_uncoupled(jax.random.key(2), computer, jnp.arange(2000)))
        .reshape(-1, 1)
        .astype(float)
    )
    for power in (1, 2, 3, 4):
        assert z(x**power, boltzmann_moment(power, J2, J4, b, kT)) < 4


@pytest.mark.parametrize("name", INTEGRATORS)
def test_coupled_quartic_units_reach_their_boltzmann_distribution(name):
    units = tg.Units(2)
    couplings = tg.couplings.all_to_all(units).with_matrix(jnp.array([[0, -0.8], [-0.8, 0]], jnp.float32))
    computer = tg.make_computer(couplings, bias=np.array([0.2, 0.0]))

    def weight(y, x):
        V = x**2 + x**4 + y**2 + y**4 + 0.2 * x - 0.8 * x * y
        return np.exp(-V / 0.1)

    def average(f):
        return integrate.dblquad(lambda y, x: f(x, y) * weight(y, x), -2, 2, -2, 2)[0] / partition

    partition = integrate.dblquad(weight, -2, 2, -2, 2)[0]
    x = np.asarray(
        tg.simulate(
            jax.random.key(3),
            computer,
            jnp.zeros((20000, 2)),
            steps=1500,
            dt=0.004,
            integrator=named_integrator(name),
        ).final
    )
    assert z(x[:, 0] * x[:, 1], average(lambda x, y: x * y)) < 4
    assert z(x[:, 0], average(lambda x, y: x)) < 4
    # The quench relation on the same small system: < exp(-W / kT) > = Z_theta / Z_0.
    idle = tg.langevin.sample_uncoupled(jax.random.key(4), computer.uncoupled(), jnp.arange(40000))
    work = np.asarray(computer.energy(idle) - computer.uncoupled().energy(idle), float)
    bare = integrate.quad(lambda x: np.exp(-(x**2 + x**4) / 0.1), -2, 2)[0] ** 2
    assert z(np.exp(-work / 0.1), partition / bare) < 4


def wirings():
    mask = np.abs(symmetric(9)) > 0.2
    exact = {"dtype": jnp.float64}
    return {
        "published": tg.published_couplings(UNITS, **exact),
        "all": tg.couplings.all_to_all(UNITS, **exact),
        "outputs": tg.couplings.from_links(
            tg.Units(4, 3, 2), "visible-output", "hidden-output", "hidden-hidden", **exact
        ),
        "mask": tg.couplings.from_mask(UNITS, mask, **exact),
        "planes": tg.couplings.planes(tg.Units(6, 3), 2, 3, **exact),
    }


@pytest.mark.parametrize("name", ["published", "all", "outputs", "mask", "planes"])
def test_local_gradient_is_the_gradient_of_the_reverse_action(float64, name):
    couplings = wirings()[name]
    wired = np.asarray(couplings.mask())
    J = jnp.asarray(symmetric(9) * wired)
    computer = tg.make_computer(couplings.with_matrix(J), bias=np.linspace(-0.3, 0.3, 9), dtype=jnp.float64)
    path = jnp.asarray(np.random.default_rng(1).normal(size=(8, 3, 9)))
    local = tg.thermodynamics.local_gradient(computer, path, 0.01)

    def action(matrix, bias):
        free = tg.make_computer(tg.couplings.all_to_all(computer.units, dtype=jnp.float64), dtype=jnp.float64)
        blocks = free.couplings.with_matrix(matrix)
        changed = tg.Computer(
            couplings=blocks, bias=bias, J2=free.J2, J4=free.J4, mobility=free.mobility, kT=free.kT
        )
        return tg.thermodynamics.reverse_action(changed, path, 0.01).sum()

    by_matrix, by_bias = jax.grad(action, (0, 1))(J, computer.bias)
    expected = np.where(wired, by_matrix + by_matrix.T, 0)
    assert np.allclose(local.couplings.matrix(), expected, rtol=1e-10, atol=1e-10)
    assert np.allclose(local.bias, by_bias, rtol=1e-10, atol=1e-10)


def test_gradient_of_the_energy_is_the_force(float64):
    computer = tg.make_computer(
        tg.couplings.all_to_all(UNITS).with_matrix(jnp.asarray(symmetric(9))),
        bias=np.ones(9),
        J2=0.7,
        dtype=jnp.float64,
    )
    x = jnp.asarray(np.random.default_rng(0).normal(size=9))
    assert np.allclose(computer.force(x), -jax.grad(computer.energy)(x), atol=1e-12)


def noising_paths(computer, count, steps=40, dt=0.02, seed=0):
    fields = jnp.asarray(np.random.default_rng(seed).normal(size=(1, computer.units.total)))
    control = tg.noising.RampedField(
        computer.uncoupled(),
        jnp.broadcast_to(fields, (count, computer.units.total)),
        tg.Schedule(steps * dt, dt),
    )
    samples = jnp.arange(count)
    start = noising_start(jax.random.key(8), control.reference, control.field, samples)
    keys = sample_keys(jax.random.key(9), samples)
    return control, noising_stretch(keys, control, start, 0, steps), dt


def test_path_identity_to_rounding_and_by_its_definition(float64):
    computer = tg.make_computer(
        tg.couplings.all_to_all(UNITS).with_matrix(jnp.asarray(symmetric(9))), dtype=jnp.float64
    )
    control, path, dt = noising_paths(computer, 6, steps=400, dt=0.005)
    ratio = tg.thermodynamics.log_ratio(control, computer, path, dt)
    assert np.abs(ratio.identity_residual).max() < 1e-10
    difference = tg.thermodynamics.reverse_action(computer, path, dt) - tg.thermodynamics.forward_action(
        control, path, dt
    )
    assert np.allclose(ratio.total, difference, atol=1e-9)
    halves = [
        tg.thermodynamics.log_ratio(control, computer, path[:201], dt),
        tg.thermodynamics.log_ratio(control, computer, path[200:], dt, 200),
    ]
    assert np.allclose(halves[0].total + halves[1].total, ratio.total, atol=1e-9)
    assert np.abs(ratio.force_part).min() > 0.01


def test_normalised_path_relation(float64):
    # < rho(x_K) P~ / (p_0(x_0) P_0) > = 1 for any normalised rho, here a Gaussian.
    computer = tg.make_computer(
        tg.couplings.all_to_all(tg.Units(2)).with_matrix(jnp.array([[0, 0.3], [0.3, 0]])), dtype=jnp.float64
    )
    control, path, dt = noising_paths(computer, 40000, steps=6, dt=0.02)
    ratio = np.asarray(tg.thermodynamics.log_ratio(control, computer, path, dt).total)
    field = np.asarray(control.field[0])
    log_p0 = np.zeros(len(ratio))
    for unit in (0, 1):
        f, x = field[unit], np.asarray(path[0, :, unit])
        Z = integrate.quad(lambda y, f=f: np.exp(-(y**2 + y**4 - f * y) / 0.1), -3, 3)[0]
        log_p0 += -(x**2 + x**4 - f * x) / 0.1 - np.log(Z)
    end = np.asarray(path[-1])
    centre, width = end.mean(0), end.std(0)
    log_rho = (-0.5 * ((end - centre) / width) ** 2 - np.log(width * np.sqrt(2 * np.pi))).sum(1)
    assert z(np.exp(log_rho - log_p0 - ratio), 1.0) < 4


def test_heat_part_is_both_heats_less_what_the_couplings_add(float64):
    # (Q_0 + Q_theta) / 2kT - sum_k dx_k . J dx_k / 4kT with Stratonovich heats, path by path and exactly.
    wiring = tg.couplings.all_to_all(UNITS).with_matrix(jnp.asarray(symmetric(9)))
    computer = tg.make_computer(wiring, dtype=jnp.float64)
    control, path, dt = noising_paths(computer, 50, steps=40, dt=0.02)
    moved = path[1:] - path[:-1]
    held = jnp.stack([control.at(k * dt).gradient(path[k]) for k in range(40)])
    after = jnp.stack([control.at(k * dt).gradient(path[k + 1]) for k in range(40)])
    Q_0 = -(moved * (held + after)).sum((0, -1)) / 2
    Q = -(moved * (computer.gradient(path[:-1]) + computer.gradient(path[1:]))).sum((0, -1)) / 2
    added = (moved * (moved @ computer.couplings.matrix())).sum((0, -1))
    exact = (Q_0 + Q) / (2 * computer.kT) - added / (4 * computer.kT)
    found = tg.thermodynamics.log_ratio(control, computer, path, dt).heat_part
    assert np.allclose(found, exact, rtol=0, atol=1e-10)
    assert np.abs(added).min() > 1e-3


def test_first_law_closes_for_a_driven_run_and_heat_is_an_energy_difference_for_a_constant_one(float64):
    computer = tg.make_computer(
        tg.couplings.all_to_all(UNITS).with_matrix(jnp.asarray(symmetric(9))), dtype=jnp.float64
    )
    schedule = tg.Schedule(1.0, 0.01)
    field = jnp.asarray(np.random.default_rng(3).normal(size=9))
    driven = tg.noising.RampedField(computer, field, schedule)
    start = jnp.zeros((5, 9))
    for control in (driven, computer):
        result = tg.simulate(
            jax.random.key(0),
            control,
            start,
            steps=100,
            dt=0.01,
            observers={"ledger": tg.langevin.HeatAndWork(), "energy": tg.langevin.Energy()},
            every=10,
        )
        heat, work = result.records["ledger"]["heat"], result.records["ledger"]["work"]
        change = result.records["energy"] - result.records["energy"][0]
        assert np.abs(change - (work - heat)).max() < 1e-12
        if control is computer:
            assert np.abs(work).max() == 0
        else:
            assert np.abs(work[-1]).min() > 1e-3


def test_noise_of_a_sample_depends_on_key_sample_and_step_alone():
    computer = tg.make_computer(tg.published_couplings(UNITS))
    key = jax.random.key(5)
    whole = tg.simulate(key, computer, jnp.zeros((6, 9)), steps=20, dt=0.01).final
    one = tg.simulate(key, computer, jnp.zeros((1, 9)), steps=20, dt=0.01, samples=jnp.array([4])).final
    assert np.allclose(one[0], whole[4], atol=1e-6)
    for name in INTEGRATORS:
        integrator = named_integrator(name)
        whole = tg.simulate(key, computer, jnp.zeros((3, 9)), steps=20, dt=0.01, integrator=integrator).final
        half = tg.simulate(key, computer, jnp.zeros((3, 9)), steps=12, dt=0.01, integrator=integrator).final
        rest = tg.simulate(key, computer, half, steps=8, dt=0.01, integrator=integrator, first_step=12).final
        assert np.allclose(rest, whole, atol=1e-6)


def test_noising_stretch_is_the_simulated_ramp():
    computer = tg.make_computer(tg.published_couplings(UNITS))
    control, path, dt = noising_paths(computer, 3, steps=20, dt=0.02)
    film = tg.simulate(
        jax.random.key(9),
        control,
        path[0],
        steps=20,
        dt=dt,
        observers={"film": tg.langevin.Snapshots()},
        every=1,
    ).records["film"]
    assert np.allclose(film, path, atol=1e-6)


def test_divergence_names_step_unit_and_a_dt_that_works():
    computer = tg.make_computer(
        tg.couplings.all_to_all(UNITS).with_matrix(jnp.asarray(symmetric(9, 2.0), jnp.float32))
    )
    with pytest.raises(
        tg.DivergenceError, match=r"diverged at step \d+ \(batch row \d+, unit \d+, x = .*dt = "
    ) as stop:
        tg.simulate(jax.random.key(0), computer, jnp.ones((4, 9)), steps=200, dt=0.4)
    stable = float(str(stop.value).rsplit("dt = ", 1)[1])
    assert np.isfinite(
        tg.simulate(jax.random.key(0), computer, jnp.ones((4, 9)), steps=200, dt=stable).final
    ).all()
    unstable = tg.make_computer(
        tg.couplings.all_to_all(UNITS).with_matrix(jnp.asarray(symmetric(9, 2.0), jnp.float32)), J4=0.0
    )
    with pytest.raises(tg.DivergenceError, match="no dt is stable"):
        tg.simulate(jax.random.key(0), unstable, jnp.ones((4, 9)), steps=4000, dt=0.01)
