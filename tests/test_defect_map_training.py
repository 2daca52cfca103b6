from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

import thermogen as tg
from thermogen.langevin import sample_keys, sample_uncoupled, stable_dt
from thermogen.noising import noising_start, noising_stretch
from thermogen.noising.moments import UnitKind, unit_moments
from thermogen.thermodynamics.path import (
    action_of_residuals,
    gradient_of_residuals,
    local_gradient,
    log_ratio,
    residuals,
)
from thermogen.training import solve, solve_all_pairs, statistics
from thermogen.training.conditional.modes import mode_statistics
from thermogen.training.exact.statistics import Process

UNITS = tg.Units(visible=6, hidden=5)
SCHEDULE = tg.Schedule(t_f=2.5, dt=0.005)
FINE = tg.Schedule(t_f=2.5, dt=0.0025)
SHORT = tg.Schedule(t_f=0.5, dt=0.01)


def problem(images=3):
    return tg.imprint_fields(np.random.default_rng(0).normal(size=(images, 6)), np.arange(images), 5)


def mismatch(count=11, s=0.2, seed=2):
    """Factors exp(s z) of J2, J4 and mobility."""
    return np.exp(s * np.random.default_rng(seed).normal(size=(3, count)))


def damaged(wiring=None, dtype=jnp.float32, **changed):
    J2, J4, mobility = mismatch()
    parts = {"J2": J2, "J4": J4, "mobility": mobility} | changed
    return tg.make_computer(tg.published_couplings(UNITS) if wiring is None else wiring, dtype=dtype, **parts)


def noised(computer, fields, count, schedule=FINE):
    """Noising paths of samples 0, 1, ..., sample s being of image s mod P."""
    samples = jnp.arange(count)
    control = tg.noising.RampedField(computer.uncoupled(), fields[samples % len(fields)], schedule)
    start = noising_start(jax.random.key(0), control.reference, control.field, samples)
    return noising_stretch(sample_keys(jax.random.key(1), samples), control, start, 0, schedule.steps)


def agree(known, other, tolerance=1e-6):
    """Statistics are equal to `tolerance` of the largest entry of each kind."""
    for name in ("second_moment", "cross_moment"):
        a, b = getattr(known, name)(), getattr(other, name)()
        assert np.abs(a - b).max() < tolerance * np.abs(b).max()
    for a, b in zip(known.units, other.units, strict=True):
        assert np.abs(a - b).max() < tolerance * np.abs(b).max()


@pytest.mark.parametrize("segments", [1, 2])
def test_fields_as_they_are_give_the_statistics_of_tables(segments):
    computer, fields = damaged(), problem()
    direct, tables = (
        statistics(computer, fields, SCHEDULE, segments=segments, direct=direct) for direct in (16, 0)
    )
    for one, other in zip(direct, tables, strict=True):
        agree(one, other)


@pytest.mark.parametrize("images", [3, 40])
def test_statistics_of_units_of_several_kinds_are_those_of_computers_of_one_kind(images):
    """Double wells among them; many images are summed in dense form from float32 products."""
    kinds = np.array([0, 1, 2, 1, 2, 1, 0, 0, 1, 2, 2])
    values = np.array([[1.0, -0.3, 0.9], [0.6, 1.0, 0.8], [0.8, 1.0, 1.3]])
    J2, J4, mobility = values[:, kinds]
    fields, tolerance = problem(images), 1e-6 if images == 3 else 3e-6
    known = statistics(damaged(J2=J2, J4=J4, mobility=mobility), fields, SCHEDULE, direct=0)[0]
    for kind, (J2, J4, mobility) in enumerate(values.T):
        computer, own = damaged(J2=J2, J4=J4, mobility=mobility), np.flatnonzero(kinds == kind)
        alone = statistics(computer, fields, SCHEDULE, direct=0)[0]
        for name in ("second_moment", "cross_moment"):
            a, b = (getattr(each, name)() for each in (known, alone))
            assert np.abs(a - b)[np.ix_(own, own)].max() < tolerance * np.abs(b).max()
        for a, b in zip(known.units, alone.units, strict=True):
            assert np.abs(a - b)[own].max() < tolerance * np.abs(b).max()


def test_moments_of_linear_units_are_those_of_their_own_ornstein_uhlenbeck_process():
    J2, mobility = np.array([1.0, 0.8, 1.3]), np.array([1.0, 1.2, 0.7])
    kinds = [UnitKind(stiffness, 0.0, mu) for stiffness, mu in zip(J2, mobility, strict=True)]
    found = unit_moments(kinds, 0.1, tg.Schedule(), 3.0)
    ramp = 0.75 * 2.5
    for one, stiffness, mu in zip(found, J2, mobility, strict=True):

        def slope(t, mean, one=one, stiffness=stiffness, mu=mu):
            return mu * (max(0.0, 1 - t / ramp) * one.fields - 2 * stiffness * mean)

        start = one.fields / (2 * stiffness)
        exact = solve_ivp(slope, (0, 2.5), start, t_eval=one.times, rtol=1e-11, atol=1e-12, max_step=0.01).y
        assert np.abs(one.mean - exact).max() < 2e-6
        assert np.abs(one.square - exact**2 - 0.1 / (2 * stiffness)).max() < 2e-6
        assert np.allclose(one.slope, 2 * stiffness * one.mean)
        assert one.weights.sum() == pytest.approx(2.5)


def test_statistics_with_mobilities_are_those_of_simulated_noising():
    computer, fields = damaged(), problem(1)
    known = statistics(computer, fields, FINE)[0]
    path = noised(computer, fields, 2000)
    x, dx = path[1:], path[1:] - path[:-1]
    slope = x * (2 * computer.J2 + 4 * computer.J4 * x * x)
    second = jnp.einsum("tbi,tbj->bij", x, x) * FINE.dt
    # Minus the displacement over mu, plus the drift of the reversed step, is what couples to x'.
    cross = jnp.einsum("tbi,tbj->bij", -dx / computer.mobility + slope * FINE.dt, x)
    for values, exact in ((second, known.second_moment()), (cross, known.cross_moment())):
        values = np.asarray(values, float)
        error = values.std(0, ddof=1) / np.sqrt(len(values))
        assert (np.abs(values.mean(0) - exact) / error).max() < 4.5


@pytest.mark.parametrize("kind", ["blocks", "mask", "edges"])
def test_the_local_gradient_is_that_of_the_reverse_action_for_any_mobilities(kind):
    with jax.enable_x64(True):
        wiring = {
            "blocks": lambda: tg.published_couplings(UNITS, dtype=jnp.float64),
            "mask": lambda: tg.couplings.from_mask(UNITS, wired(), dtype=jnp.float64),
            "edges": lambda: tg.couplings.planes(UNITS, 2, 3, dtype=jnp.float64),
        }[kind]()
        matrix = np.random.default_rng(4).normal(size=(11, 11))
        wiring = wiring.with_matrix(jnp.asarray(matrix + matrix.T) / 5)
        computer = damaged(wiring, jnp.float64, bias=np.random.default_rng(5).normal(size=11))
        path = jnp.asarray(np.random.default_rng(6).normal(size=(7, 3, 11)).cumsum(0) / 5)
        action = tg.thermodynamics.reverse_action(computer, path, 0.01)
        by_hand = sum(
            (
                (path[k] - path[k + 1] + computer.mobility * computer.gradient(path[k + 1]) * 0.01) ** 2
                / (4 * computer.mobility * 0.1 * 0.01)
            ).sum(-1)
            for k in range(6)
        )
        assert np.allclose(action, by_hand)
        assert np.allclose(action_of_residuals(computer, residuals(computer, path, 0.01), 0.01), by_hand)

        def total(values, bias):
            other = eqx.tree_at(lambda c: (c.couplings, c.bias), computer, (values, bias))
            return tg.thermodynamics.reverse_action(other, path, 0.01).sum()

        automatic = eqx.filter_grad(lambda both: total(*both))((computer.couplings, computer.bias))
        local = local_gradient(computer, path, 0.01)
        assert np.allclose(automatic[1], local.bias)
        if kind == "edges":
            values = automatic[0].values
            half = np.asarray(eqx.tree_at(lambda c: c.values, computer.couplings, values).matrix())
        else:  # automatic differentiation takes the two entries of a pair for independent
            half = np.zeros((11, 11))
            for link, block in automatic[0].blocks.items():
                a, b = (UNITS.slice(role) for role in link.split("-"))
                half[a, b] += np.asarray(block)
            half = half + half.T
        mask = np.asarray(computer.couplings.mask())
        assert np.allclose(half[mask], np.asarray(local.couplings.matrix())[mask])


def wired():
    """All pairs that are published but for one in five, dead in both directions."""
    dead = np.triu(np.random.default_rng(7).random((11, 11)) < 0.2)
    return np.asarray(tg.published_couplings(UNITS).mask()) & ~(dead | dead.T)


@pytest.mark.parametrize("visible_biases", [False, True])
def test_the_mean_gradient_of_sampled_reverse_paths_vanishes_at_the_solution(visible_biases):
    """And away from it, it is mu_i (J C + U)_ij + mu_j (J C + U)_ji over 2 kT."""
    start, fields = damaged(tg.couplings.from_mask(UNITS, wired())), problem(2)
    known = statistics(start, fields, FINE)[0]
    trained = solve(start, known, visible_biases=visible_biases).computer
    C, U, mu = known.second_moment(), known.cross_moment(), np.asarray(start.mobility, float)
    mask = np.asarray(start.couplings.mask())
    assert not np.asarray(trained.couplings.matrix())[~mask].any()
    assert mask.sum() < np.asarray(tg.published_couplings(UNITS).mask()).sum()
    path = noised(start, fields, 600)
    biased = np.arange(0 if visible_biases else 6, 11)
    for each in (start, trained):
        J, b = np.asarray(each.couplings.matrix(), float), np.asarray(each.bias, float)
        half = mu[:, None] * (J @ C + np.outer(b, known.units.mean) + U)
        couplings = np.where(mask, half + half.T, 0) / (2 * 0.1)
        biases = mu * (J @ known.units.mean + b * 2.5 + known.units.drive) / (2 * 0.1)

        def of_one(one, each=each):
            gradient = gradient_of_residuals(each, residuals(each, one[:, None], FINE.dt), one[:, None])
            return gradient.couplings.matrix(), gradient.bias

        sampled = jax.lax.map(of_one, path.transpose(1, 0, 2))
        for values, exact, chosen in zip(sampled, (couplings, biases), (mask, biased), strict=True):
            values = np.asarray(values, float)
            error = values.std(0, ddof=1) / np.sqrt(len(values))
            assert (np.abs(values.mean(0) - exact)[chosen] / error[chosen]).max() < 4
            if each is trained:
                assert np.abs(exact[chosen]).max() < 1e-4


@pytest.mark.parametrize("images", [3, 40])
def test_the_solution_with_mobilities_is_that_of_the_dense_linear_system(images):
    computer = damaged(tg.couplings.from_mask(UNITS, wired()))
    known = statistics(computer, problem(images), SCHEDULE)[0]
    solved = solve(computer, known, ridge=0.05, tolerance=1e-10).computer
    C, U = known.second_moment() + 0.05 * 2.5 * np.eye(11), known.cross_moment()
    mu, mean = np.asarray(computer.mobility, float), known.units.mean
    mask = np.asarray(computer.couplings.mask())
    pairs = np.argwhere(np.triu(mask))

    def gradient(theta):
        J, b = np.zeros((11, 11)), np.zeros(11)
        J[pairs[:, 0], pairs[:, 1]] = J[pairs[:, 1], pairs[:, 0]] = theta[: len(pairs)]
        b[6:] = theta[len(pairs) :]
        half = mu[:, None] * (J @ C + np.outer(b, mean) + U)
        slope = mu * (J @ mean + b * 2.5 + known.units.drive)
        return np.concatenate([(half + half.T)[pairs[:, 0], pairs[:, 1]], slope[6:]])

    offset = gradient(np.zeros(len(pairs) + 5))
    matrix = np.stack([gradient(column) - offset for column in np.eye(len(offset))], 1)
    assert np.allclose(matrix, matrix.T)
    theta = np.linalg.solve(matrix, -offset)
    J = np.asarray(solved.couplings.matrix())
    assert np.allclose(J[pairs[:, 0], pairs[:, 1]], theta[: len(pairs)], atol=1e-5)
    assert np.allclose(np.asarray(solved.bias)[6:], theta[len(pairs) :], atol=1e-5)


def test_with_all_pairs_and_stiffness_the_weighted_gradient_vanishes_everywhere():
    computer, fields = damaged(tg.couplings.all_to_all(UNITS)), problem()
    known = statistics(computer, fields, SCHEDULE)[0]
    trained = solve_all_pairs(computer, known).computer
    J = np.asarray(trained.couplings.matrix(), float)
    J += np.diag(2 * np.asarray(trained.J2 - computer.J2, float))
    half = J @ known.second_moment() + np.outer(trained.bias, known.units.mean) + known.cross_moment()
    half *= np.asarray(computer.mobility, float)[:, None]
    assert np.abs(half + half.T).max() < 1e-5


def test_one_mobility_is_the_same_as_a_number_and_rescales_time():
    """The loss does not depend on which unit of time is used: mu = 2 and t_f / 2 give the same optimum."""
    fields, number = problem(), tg.make_computer(tg.published_couplings(UNITS), mobility=2.0)
    array = tg.make_computer(tg.published_couplings(UNITS), mobility=np.full(11, 2.0))
    slow = tg.make_computer(tg.published_couplings(UNITS))
    half = tg.Schedule(t_f=1.25, dt=0.0025)
    results = [
        solve(one, statistics(one, fields, schedule)[0])
        for one, schedule in ((number, half), (array, half), (slow, SCHEDULE))
    ]
    J = [np.asarray(one.computer.couplings.matrix()) for one in results]
    assert (J[0] == J[1]).all()
    assert np.allclose(J[0], J[2], atol=1e-5)
    known = [statistics(one, fields, s)[0] for one, s in ((number, half), (slow, SCHEDULE))]
    assert np.allclose(2 * known[0].cross_moment(), known[1].cross_moment(), atol=1e-6)


def test_masked_blocks_converge_in_tens_of_iterations():
    units = tg.Units(visible=100, hidden=64)
    random = np.random.default_rng(8)
    fields = tg.imprint_fields(
        random.normal(size=(3, 100)), [0, 1, 2], 64, imprint="code", hidden_amplitude=5.0
    )
    whole = tg.published_couplings(units)
    for share in (0.05, 0.4):
        dead = np.triu(random.random((164, 164)) < share)
        wiring = tg.couplings.from_mask(units, np.asarray(whole.mask()) & ~(dead | dead.T))
        mobility = np.exp(0.1 * random.normal(size=164))
        computer = tg.make_computer(wiring, mobility=mobility)
        # Few kinds, so that the test is quick: the solution has nothing to do with how moments are found.
        alike = statistics(tg.make_computer(wiring), fields, SCHEDULE)[0]
        known = replace(alike, process=Process.of(computer, SCHEDULE))
        result = solve(computer, known, visible_biases=True)
        assert result.iterations < 60
        assert not np.asarray(result.computer.couplings.matrix())[~np.asarray(wiring.mask())].any()


def test_a_defective_is_repaired_by_exact_training_for_what_it_is():
    """Loss on the device's own noising paths: trained for it, below trained for a perfect one."""
    perfect, fields = tg.make_computer(tg.published_couplings(UNITS)), problem()
    defective = damaged(tg.couplings.from_mask(UNITS, wired()))
    trained = tg.train_exact(jax.random.key(0), perfect, fields, SCHEDULE).computer
    repaired = tg.train_exact(jax.random.key(0), defective, fields, SCHEDULE).computer
    moved = eqx.tree_at(
        lambda c: (c.couplings, c.bias),
        defective,
        (defective.couplings.with_matrix(trained.couplings.matrix()), trained.bias),
    )
    losses = [
        np.asarray(tg.training.path_loss(jax.random.key(5), each, fields, SCHEDULE, jnp.arange(300)), float)
        for each in (repaired, moved)
    ]
    difference = losses[0] - losses[1]
    assert difference.mean() < -4 * difference.std(ddof=1) / np.sqrt(len(difference))
    assert (np.asarray(repaired.mobility) == np.asarray(defective.mobility)).all()


def test_everything_that_takes_a_computer_takes_mobilities(tmp_path):
    computer, fields = damaged(tg.couplings.from_mask(UNITS, wired())), problem(2)
    assert stable_dt(computer) < stable_dt(damaged(mobility=1.0)) / 1.01
    # Equilibrium does not depend on mobility, before a run and after it.
    linear = damaged(tg.published_couplings(UNITS), J2=1.0, J4=0.0)
    x = sample_uncoupled(jax.random.key(0), linear, jnp.arange(4000))
    after = tg.simulate(jax.random.key(1), linear, x, steps=200, dt=0.005).final
    square = np.asarray(after, float) ** 2
    # Euler-Maruyama at rate 2 mu has the variance kT / (2 J2 (1 - mu J2 dt)).
    exact = 0.1 / (2 * (1 - np.asarray(linear.mobility, float) * 0.005))
    assert (np.abs(square.mean(0) - exact) / (square.std(0, ddof=1) / np.sqrt(4000))).max() < 4
    # The mean relaxes at the rate of its own mobility.
    pulled = tg.simulate(jax.random.key(1), linear, x * 0 + 1.0, steps=100, dt=0.005).final
    exact = (1 - 2 * np.asarray(linear.mobility, float) * 0.005) ** 100
    values = np.asarray(pulled, float)
    assert (np.abs(values.mean(0) - exact) / (values.std(0, ddof=1) / np.sqrt(4000))).max() < 4
    path = noised(computer, fields, 4, SHORT)
    control = tg.noising.RampedField(computer.uncoupled(), fields[jnp.arange(4) % 2], SHORT)
    ratio = log_ratio(control, computer, path, SHORT.dt)
    forward = tg.thermodynamics.forward_action(control, path, SHORT.dt)
    assert np.abs(ratio.identity_residual).max() < 1e-3 * np.abs(np.asarray(ratio.total)).max()
    assert np.allclose(
        ratio.total, tg.thermodynamics.reverse_action(computer, path, SHORT.dt) - forward, rtol=1e-3
    )
    online = tg.train(jax.random.key(0), computer, fields, SHORT, tg.Rule("online", rate=1e-4), cycles=2)
    assert np.isfinite(online.loss).all()
    trained = tg.train_exact(jax.random.key(0), computer, fields, SHORT, segments=2).computer
    model = tg.Model(trained, SHORT, (2, 3), {}, {}, {}, None)
    back = tg.Model.from_pretrained(model.save_pretrained(tmp_path / "model")).computer
    assert (np.asarray(back.reference.mobility) == np.asarray(computer.mobility)).all()
    drawn = [tg.generate(jax.random.key(2), each, 6, SHORT).visible for each in (trained, back)]
    assert np.isfinite(drawn[0]).all()
    assert (drawn[0] == drawn[1]).all()


def test_mobilities_that_cannot_be_are_refused():
    wiring = tg.published_couplings(UNITS)
    bad = np.ones(11)
    with pytest.raises(tg.InputError, match=r"mobility has shape \(10,\) for 11 units"):
        tg.make_computer(wiring, mobility=bad[:10])
    bad[4] = -2
    with pytest.raises(tg.InputError, match="mobility of unit 4 = -2: give positive numbers"):
        tg.make_computer(wiring, mobility=bad)
    bad[4] = np.nan
    with pytest.raises(tg.InputError, match="mobility of unit 4 = nan"):
        tg.make_computer(wiring, mobility=bad)
    still = eqx.tree_at(lambda c: c.mobility, damaged(), jnp.asarray(mismatch()[2]).at[3].set(0))
    with pytest.raises(tg.InputError, match="unit 3 has mobility 0"):
        statistics(still, problem(), SCHEDULE)
    known = statistics(damaged(J2=1.0, J4=1.0), problem(), SCHEDULE)[0]
    with pytest.raises(tg.InputError, match="another mobility"):
        solve(tg.make_computer(wiring), known)
    with pytest.raises(tg.InputError, match="units differ in mobility"):
        mode_statistics(damaged(), np.asarray(problem()), np.arange(3), SCHEDULE, np.eye(11)[:, :2])
