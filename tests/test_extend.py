"""The worked examples of docs/extend.md, run as they stand and held against exact results."""

import re
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thermogen as tg
from thermogen.langevin import INTEGRATORS
from thermogen.ledger import BOLTZMANN
from thermogen.noising import IMPRINTS

PAGE = (Path(__file__).parent.parent / "docs" / "extend.md").read_text()


def run(heading):
    """The names that the code of a section leaves behind."""
    section = re.search(rf"^## {heading}\n(.*?)^## ", PAGE, re.DOTALL | re.MULTILINE)
    assert section, heading
    names = {}
    code = "\n".join(re.findall(r"```python\n(.*?)```", section[1], re.DOTALL))
    assert code
    exec(compile(code, f"extend.md, {heading}", "exec"), names)
    return names


@pytest.fixture(autouse=True)
def _registers_stay_as_they_are(monkeypatch):
    for register in (INTEGRATORS, IMPRINTS):
        for name in ("trapezoid", "coarse"):
            monkeypatch.delitem(register, name, raising=False)
    kept = [(register, dict(register)) for register in (INTEGRATORS, IMPRINTS)]
    yield
    for register, before in kept:
        register.clear()
        register.update(before)


def off(found, exact):
    """Deviation of the mean of `found` in standard errors."""
    found = np.asarray(found, float)
    return abs(found.mean() - exact) / (found.std(ddof=1) / found.size**0.5)


def test_every_python_block_of_the_page_belongs_to_a_section_that_is_run_here():
    headings = re.findall(r"^## (.*)$", PAGE, re.MULTILINE)
    with_code = [
        heading
        for heading in headings
        if re.search(rf"^## {heading}\n(?:(?!^## ).)*?```python", PAGE, re.DOTALL | re.MULTILINE)
    ]
    assert with_code == ["A unit potential", "An integrator", "An imprint", "A trainer", "A platform"]


def test_a_unit_potential():
    names = run("A unit potential")
    trained, ring = names["trained"], names["ring"]
    x = jax.random.normal(jax.random.key(2), (20, 12))
    assert float(jnp.abs(trained.couplings.matrix()).max()) > 0.01
    np.testing.assert_allclose(trained.force(x), -jax.vmap(jax.grad(trained.energy))(x), atol=1e-4)
    slopes = jax.vmap(jax.jvp, (None, 0, 0))(ring.own_slope, (x,), (jnp.ones_like(x),))[1]
    np.testing.assert_allclose(ring.own_curvature(x), slopes, atol=1e-5)
    # Equilibrium of one unit: at the start exactly, and after a run.
    grid = np.linspace(-6, 6, 6001)
    weight = np.exp(-(grid**2 + 0.1 * grid**4 - 3 * (1 - np.cos(grid))) / 0.2)
    start = tg.langevin.sample_uncoupled(jax.random.key(3), ring, jnp.arange(2000))
    run_on = tg.simulate(
        jax.random.key(4), ring, start, steps=300, dt=0.01, integrator=tg.StochasticHeun()
    ).final
    for states in (start, run_on):
        for power in (1, 2, 4):
            exact = (grid**power * weight).sum() / weight.sum()
            assert off(states**power, exact) < 4
    # Heat is a difference of energies, the junction's included.
    samples = names["samples"]
    assert samples.visible.shape == (100, 8)
    np.testing.assert_allclose(samples.heat, samples.start.total - samples.end.total, rtol=1e-5, atol=1e-4)
    alone = jax.vmap(lambda x: ring.energy_parts(x).on_site)(x)
    np.testing.assert_allclose(alone, ring.own_energy(x).sum(1), rtol=1e-6)


def expectation(method, steps, f, *, x0=0.6, t=0.4, kT=0.1):
    """E f(x(t)) of one quartic unit by `steps` steps, without sampling.

    Backwards from f: the mean over the noise by Gauss-Hermite nodes, functions held at Chebyshev points.
    """
    half, count = 1.6, 160
    points = half * np.cos(np.pi * (np.arange(count) + 0.5) / count)
    nodes, weights = np.polynomial.hermite_e.hermegauss(24)
    weights = weights / weights.sum()
    dt = t / steps
    after = method.step(
        lambda x, t: -(2 * x + 4 * x**3),
        jnp.asarray(points)[:, None],
        jnp.asarray(0.0),
        jnp.asarray(dt),
        jnp.sqrt(jnp.asarray(2 * kT * dt)),
        jnp.asarray(nodes)[None],
        jnp.asarray(nodes)[None],
    )
    after = np.clip(np.asarray(after) / half, -1, 1)
    values = f(points)
    for _ in range(steps - 1):
        series = np.polynomial.chebyshev.chebfit(points / half, values, 60)
        values = np.polynomial.chebyshev.chebval(after, series) @ weights
    series = np.polynomial.chebyshev.chebfit(points / half, values, 60)
    first = method.step(
        lambda x, t: -(2 * x + 4 * x**3),
        jnp.full(len(nodes), x0),
        jnp.asarray(0.0),
        jnp.asarray(dt),
        jnp.sqrt(jnp.asarray(2 * kT * dt)),
        jnp.asarray(nodes),
        jnp.asarray(nodes),
    )
    return np.polynomial.chebyshev.chebval(np.asarray(first) / half, series) @ weights


def test_an_integrator():
    names = run("An integrator")
    assert INTEGRATORS["trapezoid"] is names["Trapezoid"]
    assert names["samples"].visible.shape == (100, 9)
    with jax.enable_x64(True):
        method, heun, euler = names["Trapezoid"](), tg.StochasticHeun(), tg.EulerMaruyama()
        steps = np.array([20, 40, 80])
        exact = np.array([np.exp(-2), 0.1 / 2])
        off_by, beside = (
            np.array([[float(v) for v in names["linear_unit"](one, 1 / n)] for n in steps]) - exact
            for one in (method, heun)
        )
        mean, spread = np.log2(np.abs(off_by[:-1] / off_by[1:])).T
        assert np.allclose(mean, method.weak_order, atol=0.15)
        assert np.allclose(spread, 3, atol=0.15)
        assert np.allclose(off_by[-1, 0] / beside[-1, 0], -0.5, atol=0.05)
        # And where the force is not linear.
        for f in (lambda x: x, np.square):
            fine = expectation(heun, 640, f)
            for one, order in ((euler, 1), (heun, 2), (method, 2)):
                off_by = np.array([expectation(one, n, f) - fine for n in (10, 20)])
                assert np.log2(np.abs(off_by[0] / off_by[1])) == pytest.approx(order, abs=0.15)


def test_an_imprint():
    names = run("An imprint")
    fields, computer, schedule = names["fields"], names["computer"], names["schedule"]
    hidden = np.asarray(fields[:, 784:])
    assert np.abs(hidden[0] - hidden[1]).max() > 1
    matrix = np.asarray(names["trained"].couplings.matrix())
    assert np.abs(matrix[:784, 784:]).max() > 0.01
    scores = tg.quality.prototype_scores(names["samples"].visible, names["digits"].standardised())
    assert scores.best.mean() > 0.7

    def the_same(images, hidden, key):
        return np.ones((len(images.images), hidden))

    IMPRINTS["coarse"] = the_same
    digits = names["digits"]
    blind = tg.imprint_fields(
        digits.standardised(), digits.labels, hidden=16, imprint="coarse", amplitude=2.5
    )
    found = tg.train_exact(jax.random.key(0), computer, blind, schedule, visible_biases=True).computer
    # Of what is the same for all images only their mean is left: every hidden unit learns the same.
    learnt, the_mean = (
        np.linalg.svd(np.asarray(one.couplings.matrix())[:784, 784:], compute_uv=False)
        for one in (names["trained"], found)
    )
    assert learnt[1] > 0.1 * learnt[0]
    assert the_mean[1] < 1e-4 * the_mean[0]


def test_a_trainer():
    names = run("A trainer")
    exact, computer, fields, schedule = (names[name] for name in ("exact", "computer", "fields", "schedule"))

    def distance(one):
        return float(jnp.linalg.norm(one.couplings.matrix() - exact.couplings.matrix()))

    def mean_distance(paths):
        keys = [jax.random.key(seed) for seed in range(4)]
        train = names["train_on_paths"]
        return np.mean([distance(train(key, computer, fields, schedule, paths)) for key in keys])

    few, many = mean_distance(100), mean_distance(1600)
    assert few / many == pytest.approx(4, rel=0.4)  # sixteen times the paths
    unseen = [
        np.asarray(tg.training.path_loss(jax.random.key(9), one, fields, schedule, jnp.arange(2000)), float)
        for one in (exact, names["trained"], eqx.tree_at(lambda c: c.bias, computer, jnp.zeros(9)))
    ]
    best, trained, untrained = unseen
    above, below = trained - best, untrained - trained
    assert above.mean() > -4 * above.std(ddof=1) / 2000**0.5
    assert below.mean() > 10 * above.mean()
    assert off(below, 0) > 10


def test_a_platform(capsys):
    names = run("A platform")
    shown = capsys.readouterr().out
    assert "heat of a sample: " in shown
    computer, physical = names["computer"], names["physical"]
    platform = physical.platform
    back = physical.computer()
    assert np.array_equal(back.couplings.matrix(), computer.couplings.matrix())
    assert platform.relaxation == pytest.approx(1e-17 / 1e-15)
    variance = physical.scale**2 * 0.1 / 2
    assert platform.stiffness * variance == pytest.approx(BOLTZMANN * 300)
    found = names["figures"](physical, tg.Schedule(), heat_kT=1.0)
    assert found["heat of a sample"] == (pytest.approx(BOLTZMANN * 300), "J")
    assert found["thermal width"] == (pytest.approx(variance**0.5), "rad")
    with pytest.raises(tg.InputError, match="friction = 1 N m: give a value in newton"):
        names["torsional"]("1e-15 N m/rad", "1 N m")
    # The pendulums' own equation, gamma dq/dt = torque, with the noise of their friction.
    with jax.enable_x64(True):
        rng = np.random.default_rng(0)
        J = rng.normal(size=(13, 13))
        wiring = tg.published_couplings(tg.Units(visible=9, hidden=4)).with_matrix(jnp.asarray(J + J.T))
        one = tg.make_computer(wiring, bias=rng.normal(size=13), dtype=jnp.float64)
        physical = names["to_physical"](one, platform)
        dt, x = 0.01, 0.3 * rng.normal(size=13)
        q, seconds = x * physical.scale, dt * physical.time_unit
        G = np.asarray(physical.couplings.apply(jnp.eye(13)), float)
        for _ in range(100):
            xi = rng.normal(size=13)
            x = x + np.asarray(one.force(jnp.asarray(x))) * dt + np.sqrt(2 * 0.1 * dt) * xi
            torque = -(physical.linear * q + physical.cubic * q**3 + physical.bias + G @ q)
            white = np.sqrt(2 * BOLTZMANN * 300 * 1e-17 / seconds) * xi
            q = q + (torque + white) * seconds / 1e-17
        assert np.allclose(q / physical.scale, x, rtol=1e-9)
