from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from shared_modes import (
    CLASSES,
    SCHEDULE,
    UNITS,
    dense_units,
    fields,
    label_fields,
    mode_network,
    mode_table,
    rotation,
)

import thermogen as tg
from thermogen.control import Clamp, LabelFields
from thermogen.couplings import as_pairs
from thermogen.training import (
    Statistics,
    clusters,
    mode_basis,
    mode_statistics,
    solve_all_pairs,
    solve_modes,
    statistics,
    train_network,
)


def draw(key, control, count, schedule=SCHEDULE, **options):
    """`generate` without a film: one stretch a segment, little to compile."""
    return tg.generate(key, control, count, schedule, **{"film_frames": 1, **options})


def path_start(key, control, count):
    """The states that `generate` starts from."""
    return tg.langevin.sample_uncoupled(jax.random.split(key)[0], control.uncoupled(), jnp.arange(count))


def test_couplings_through_modes_are_their_matrix():
    couplings = mode_table().condition(2, 1).couplings
    J, x = np.asarray(couplings.matrix()), jnp.asarray(np.random.default_rng(0).normal(size=(3, 12)))
    assert np.allclose(J, J.T, atol=1e-6)
    assert np.allclose(couplings.apply(x), x @ J, atol=1e-5)
    # Energy and force belong together, the diagonal included.
    assert np.allclose(couplings.energy(x), np.einsum("ni,ij,nj->n", x, J, x) / 2, atol=1e-5)
    slope = jax.vmap(jax.grad(lambda one: couplings.energy(one)))(x)
    assert np.allclose(slope, couplings.apply(x), atol=1e-5)
    assert couplings.count() == 12 * 4 + 10
    several = mode_table().condition(np.array([2, 0]), 1).couplings
    assert np.allclose(several.apply(x[:2])[0], couplings.apply(x[:1])[0], atol=1e-6)
    with pytest.raises(tg.InputError, match="take the matrix of one condition"):
        several.matrix()
    with pytest.raises(tg.InputError, match="cannot be set or trained pair by pair"):
        as_pairs(couplings)


class Problem(NamedTuple):
    """Two conditions of 30 images each in two segments: fields, and exact statistics of each."""

    computer: tg.Computer
    fields: np.ndarray
    conditions: np.ndarray
    alone: list[list[Statistics]]  # in order of generation: it undoes the last segment of noising first


@pytest.fixture(scope="module")
def problem():
    computer, force = dense_units(), fields()
    conditions = np.random.default_rng(2).permutation(np.repeat([0, 1], 30))
    alone = [statistics(computer, force[conditions == c], SCHEDULE, segments=2)[::-1] for c in (0, 1)]
    return Problem(computer, force, conditions, alone)


@pytest.fixture(scope="module")
def known(problem):
    """The same statistics in four modes."""
    basis = rotation(rank=4)
    return mode_statistics(problem.computer, problem.fields, problem.conditions, SCHEDULE, basis, segments=2)


@pytest.fixture(scope="module")
def table(problem, known):
    return solve_modes(problem.computer, known, rotation(rank=4), np.array([4, 9]))


def test_all_modes_are_all_pairs(problem):
    """Any complete basis, units of two kinds, two segments, and two conditions: each from its own images.

    Both sum features in float32, so that C and U carry relative errors of 1e-6; J = -C^-1 U amplifies them by
    the condition number of C, below 100 here.
    """
    computer, force, conditions, alone = problem
    known = mode_statistics(computer, force, conditions, SCHEDULE, rotation(), segments=2)
    for ridge in (0.0, 0.1):
        table = solve_modes(computer, known, rotation(), np.array([4, 9]), ridge=ridge)
        assert (table.classes, table.segments, table.duration) == ((4, 9), 2, 1.0)
        for condition, segment in np.ndindex(2, 2):
            one = alone[condition][segment]
            exact = solve_all_pairs(computer, one, ridge=ridge).computer
            J = np.asarray(exact.couplings.matrix()) + np.diag(2 * np.asarray(exact.J2 - computer.J2))
            found = table.condition(condition, segment)
            tolerance = 1e-4 * np.abs(J).max()
            assert np.linalg.cond(one.second_moment()) < 100
            assert np.allclose(found.couplings.matrix(), J, rtol=0, atol=tolerance)
            assert np.allclose(found.bias, exact.bias, rtol=0, atol=tolerance)
            assert np.array_equal(found.J2, computer.J2)
    first, second = (np.asarray(table.condition(0, s).couplings.matrix()) for s in (0, 1))
    assert np.abs(first - second).max() > 0.1 * np.abs(first).max()


def loss(known, basis, mixing, bias):
    """The quadratic loss of `solve_all_pairs` at J = B M B^T, up to a constant."""
    J, mean = basis @ mixing @ basis.T, known.units.mean
    quadratic = np.trace(J @ known.second_moment() @ J) / 2 + bias @ J @ mean
    return quadratic + known.process.duration * bias @ bias / 2 + np.vdot(J, known.cross_moment()) + (
        bias @ known.units.drive
    )  # fmt: skip


def test_the_solution_in_few_modes_is_the_minimum_of_the_exact_loss(problem, table):
    """In float64 with a table rounded to float32: a step of 1 % must outweigh a gradient of 1e-6."""
    known, basis = problem.alone[1][0], rotation(rank=4)
    mixing, bias = (np.asarray(one[1, 0], float) for one in (table.mixing, table.bias))
    least = loss(known, basis, mixing, bias)
    assert least < loss(known, basis, 0 * mixing, bias)
    rng = np.random.default_rng(3)
    for _ in range(40):
        d_mixing, d_bias = rng.normal(size=(4, 4)) / 4, rng.normal(size=12) / 12**0.5
        d_mixing = 0.01 * np.abs(mixing).max() * (d_mixing + d_mixing.T)
        d_bias *= 0.01 * np.abs(bias).max()
        either = [loss(known, basis, mixing + s * d_mixing, bias + s * d_bias) - least for s in (1, -1)]
        assert min(either) > 0
        assert either[0] == pytest.approx(either[1], rel=0.02)


def test_pooled_statistics_are_those_of_the_class_and_the_basis_holds_the_images(problem, known, table):
    computer, force, conditions, _ = problem
    basis, classes = rotation(rank=4), np.array([0, 0])
    one, half = (solve_modes(computer, known, basis, classes, pool=pool) for pool in (1.0, 0.5))
    other = solve_modes(computer, known, basis, np.array([4, 9]), pool=1.0)
    assert np.array_equal(table.weights, [0.5, 0.5])
    assert np.allclose(one.mixing[0], one.mixing[1], atol=1e-6)
    apart, nearer = (np.abs(each.mixing[0] - each.mixing[1]).max() for each in (table, half))
    assert 0.1 * apart < nearer < 0.9 * apart
    assert np.allclose(other.mixing, table.mixing, atol=1e-6)  # classes of one condition each
    held = fields() @ mode_basis(fields(), 6)
    assert np.allclose((held**2).sum(), (fields() ** 2).sum(), rtol=1e-5)  # made of five plus an offset
    for arguments, message in (({"ridge": -1.0}, "ridge = -1"), ({"pool": 2.0}, "pool = 2")):
        with pytest.raises(tg.InputError, match=message):
            solve_modes(computer, known, basis, classes, **arguments)
    with pytest.raises(tg.InputError, match="modes = 13: give 1 to 12"):
        mode_basis(force, 13)
    with pytest.raises(tg.InputError, match="a condition has no image"):
        mode_statistics(computer, force, conditions + 1, SCHEDULE, basis)
    with pytest.raises(tg.InputError, match="fields of shape"):
        mode_statistics(computer, force[:, :11], conditions, SCHEDULE, basis[:11])


def test_conditions_are_drawn_by_weight_from_key_number_and_label_alone(monkeypatch):
    table, key, numbers = mode_table(), jax.random.key(3), np.arange(4000)
    weights = np.asarray(table.weights, float)
    labels = np.resize([3, 7], 4000)
    for asked, classes in ((None, {3, 7}), (np.full(4000, 7), {7}), (np.full(4000, 3), {3})):
        drawn = table.draw(key, numbers, asked)
        share = np.where(np.isin(CLASSES, list(classes)), weights, 0)
        share = share / share.sum()
        counts = np.bincount(drawn, minlength=5)
        assert np.abs(counts - 4000 * share).max() < 4 * np.sqrt(4000 / 4)
        z = (counts - 4000 * share)[share > 0] / np.sqrt(4000 * share * (1 - share))[share > 0]
        assert np.abs(z).max() < 4
        assert (counts[share == 0] == 0).all()
    drawn = table.draw(key, numbers, labels)
    assert np.array_equal(np.asarray(CLASSES)[drawn], labels)
    some = np.random.default_rng(0).permutation(4000)[:300]
    assert np.array_equal(table.draw(key, some, labels[some]), drawn[some])
    assert not np.array_equal(table.draw(jax.random.key(4), numbers, labels), drawn)
    with pytest.raises(tg.InputError, match="label 5 was not trained: choose among 3, 7") as refusal:
        table.draw(key, numbers[:2], np.array([3, 5]))
    assert "\n" not in str(refusal.value)
    # The lowest number a generator gives, once in eight million, belongs to the class as well.
    monkeypatch.setattr(jax.random, "uniform", lambda key: jnp.zeros(()))
    assert table.draw(key, numbers[:2], np.array([3, 7])).tolist() == [2, 0]


@pytest.mark.parametrize("make", [mode_table, lambda: mode_network(mode_table())])
def test_a_sample_with_a_condition_does_not_depend_on_count_or_batch(make):
    control, key = make(), jax.random.key(1)
    whole = draw(key, control, 6)
    assert np.array_equal(whole.labels, np.resize([3, 7], 6))
    assert np.array_equal(np.asarray(CLASSES)[whole.conditions], whole.labels)
    part = draw(key, control, 5, batch=4)  # the last one alone
    assert np.array_equal(part.conditions, whole.conditions[:5])
    # The noise is the same to the bit; products of another batch shape round differently.
    assert np.allclose(part.x, whole.x[:5], atol=1e-4)
    assert np.allclose(part.heat, whole.heat[:5], atol=1e-3)
    assert len(np.unique(whole.conditions)) > 2


def test_conditions_that_are_given_are_those_that_are_drawn():
    table, key, asked = mode_table(), jax.random.key(2), np.array([4, 0, 2, 0, 3, 1])
    samples = draw(key, table, 6, conditions=asked)
    assert np.array_equal(samples.conditions, asked)
    assert np.array_equal(samples.labels, np.asarray(CLASSES)[asked])
    for condition in (0, 4):
        one = tg.Segments.from_computers([table.condition(condition, segment) for segment in (0, 1)], 1.0)
        alone = draw(key, one, 6)
        mine = asked == condition
        assert np.allclose(samples.x[mine], alone.x[mine], atol=1e-4)
        assert np.allclose(samples.work[mine], alone.work[mine], atol=1e-3)
        assert np.abs(samples.x - alone.x)[~mine].max(1).min() > 0.05
    for arguments, message in (
        ({"conditions": [5] * 6}, "conditions are 5 to 5: give numbers of 0 to 4"),
        ({"conditions": [1]}, "give one for each of 6 samples"),
        ({"conditions": asked, "labels": asked}, "labels and conditions are both given"),
    ):
        with pytest.raises(tg.InputError, match=message):
            draw(key, table, 6, **arguments)
    with pytest.raises(tg.InputError, match="conditions are given, but the control has none"):
        draw(key, table.condition(0, 0), 6, conditions=asked)


def closes(samples, control, rest):
    """Whether V(end) - V_0(start) = W - Q to the rounding of float32.

    Heat is a sum of up to 50 differences of energies of size E, each rounded to some 1e-7 E.
    """
    end = np.asarray(control.at(1.0).energy(jnp.asarray(samples.x)))
    size = np.abs(end).max() + np.abs(samples.start.total).max() + 1
    return np.allclose(end - rest, samples.work - samples.heat, rtol=0, atol=1e-5 * size)


@pytest.mark.parametrize("make", [mode_table, lambda: mode_network(mode_table())])
def test_the_first_law_closes_while_couplings_change(make):
    """In two segments, or at every step."""
    control, key = make(), jax.random.key(0)
    samples = draw(key, control, 6)
    x0 = path_start(key, control, 6)
    rest = np.asarray(control.uncoupled().energy(x0))
    chosen = control.select(samples.conditions)
    begin = np.asarray(chosen.at(0.0).energy(x0))
    assert np.abs(samples.switching).min() > 1e-3
    assert np.abs(samples.switching).max() > 0.1
    assert np.allclose(samples.work, begin - rest + samples.switching, rtol=0, atol=1e-4)
    assert closes(samples, chosen, rest)


def test_a_control_of_another_duration_is_refused():
    table = mode_table()
    for control in (table, mode_network(table), tg.Segments.from_computers([table.condition(0, 0)] * 2, 1.0)):
        with pytest.raises(tg.InputError, match="the control lasts 1, the schedule t_f = 2: use one"):
            draw(jax.random.key(0), control, 2, tg.Schedule(t_f=2.0, dt=0.02))
    with pytest.raises(tg.InputError, match="3 segments do not divide the 50 steps"):
        draw(jax.random.key(0), mode_table(3), 2)


@pytest.mark.parametrize("kind", ["computer", "table", "fields", "network"])
def test_clamped_units_stay_where_they_are_held_and_the_others_feel_them(kind):
    table, key = mode_table(), jax.random.key(5)
    control = {
        "computer": lambda: table.condition(0, 0),
        "table": lambda: table,
        "fields": lambda: label_fields(table),
        "network": lambda: mode_network(table),
    }[kind]()
    pixels = np.arange(8) < 3
    images = np.random.default_rng(0).normal(size=(6, 8)).astype(np.float32)
    clamp = Clamp.visible(UNITS, pixels, images)
    samples, free = (draw(key, control, 6, clamp=choice) for choice in (clamp, None))
    assert np.array_equal(samples.x[:, :3], images[:, :3])
    assert np.array_equal(samples.film[..., :3], np.broadcast_to(images[:, :3], (*samples.film.shape[:2], 3)))
    start = np.asarray(path_start(key, control, 6))
    assert np.array_equal(samples.film[0][:, 3:], start[:, 3:8])
    assert np.abs(samples.x - start)[:, 3:].min() > 1e-5
    assert np.abs(samples.x - free.x)[:, 3:].max() > 0.05
    if kind == "table":
        assert np.allclose(samples.x, draw(key, control, 6, clamp=clamp, batch=4).x, atol=1e-4)
    held = jnp.asarray(np.concatenate([images[:, :3], start[:, 3:]], 1))
    rest = np.asarray(control.uncoupled().energy(held))
    assert closes(samples, control if kind == "computer" else control.select(samples.conditions), rest)


def test_clamps_that_cannot_be_are_refused():
    table, images = mode_table(), np.zeros((2, 8), np.float32)
    clamp = Clamp.visible(UNITS, np.arange(8) < 3, images)
    for wrong, count, message in (
        (Clamp(np.zeros(5, bool), np.zeros((2, 5), np.float32)), 2, "clamp of 5 units, the computer has 12"),
        (Clamp(np.ones(12, bool), np.zeros((2, 12), np.float32)), 2, "every unit is clamped"),
        (clamp, 3, r"clamp values have shape \(2, 12\): give \(3, 12\)"),
        (Clamp(np.arange(12) < 3, np.full((2, 12), np.nan, np.float32)), 2, "clamp values hold NaN"),
    ):
        with pytest.raises(tg.InputError, match=message) as refusal:
            draw(jax.random.key(0), table, count, clamp=wrong)
        assert "\n" not in str(refusal.value)
    with pytest.raises(tg.InputError, match="for 8 visible units"):
        Clamp.visible(UNITS, np.arange(12) < 3, images)


def test_fields_on_label_units_are_computers_with_those_biases():
    table, key = mode_table(), jax.random.key(8)
    reference = table.condition(0, 0)
    force = jnp.asarray(np.random.default_rng(7).normal(size=(2, 12)), jnp.float32)
    weights = jnp.asarray([0.5, 0.5])
    control = LabelFields(reference=reference, fields=force, weights=weights, classes=(7, 3))
    held = {
        label: eqx.tree_at(lambda c: c.bias, reference, reference.bias - one)
        for label, one in zip((7, 3), force, strict=True)
    }
    labels = np.array([3, 7, 7, 3, 3, 7])
    a = draw(key, control, 6, labels=labels)
    b = draw(key, tg.PerClass.from_controls(held), 6, labels=labels)
    assert np.array_equal(a.labels, b.labels)
    assert np.array_equal(a.conditions, [1, 0, 0, 1, 1, 0])
    assert np.allclose(a.x, b.x, atol=1e-4)
    assert np.allclose(a.work, b.work, atol=1e-3)
    assert np.allclose(a.heat, b.heat, atol=1e-3)
    assert np.array_equal(a.switching, np.zeros(6))
    with pytest.raises(tg.InputError, match=r"give one per condition and unit, \(1, 12\)"):
        LabelFields(reference=reference, fields=force, weights=weights, classes=(7,))


def test_a_network_learns_a_small_table(problem, known, table):
    """Four terms for two conditions in two segments leave no error of principle, only that of descent.

    Over seeds, widths and rates that was 1e-9 to 2e-5 (and 2e-3 for half the units): 1e-3 is far above it.
    """
    basis, alone = rotation(rank=4), problem.alone
    seen = []
    result = train_network(
        jax.random.key(0),
        table,
        known,
        width=32,
        steps=600,
        rate=2e-2,
        progress=lambda *one: seen.append(one),
    )
    assert result.excess[0] > 0.1
    assert result.excess[-1] < 1e-3
    assert seen[-1] == (600, result.excess[-1])
    # What it reports is the exact loss above its minimum, relative to the best of one coupling set.

    def excess(values):
        return sum(
            float(table.weights[c])
            * (
                loss(alone[c][s], basis, *(np.asarray(one, float) for one in values(c, s)))
                - loss(alone[c][s], basis, np.asarray(table.mixing[c, s]), np.asarray(table.bias[c, s]))
            )
            for c in (0, 1)
            for s in (0, 1)
        )

    def steered(c, s):
        one = result.control.select(np.array([c])).at((s + 0.5) / 2)
        return one.couplings.mixing[0], one.bias[0]

    flat = excess(lambda c, s: (table.mixing.mean((0, 1)), table.bias.mean((0, 1))))
    # The table, rounded to float32, is the minimum to some 1e-6 of the loss.
    assert excess(steered) / flat == pytest.approx(result.excess[-1], rel=0.2, abs=2e-5)
    assert result.control.labels == (4, 9)
    with pytest.raises(tg.InputError, match="terms = 0"):
        train_network(jax.random.key(0), table, known, terms=0)
    constant = eqx.tree_at(
        lambda c: (c.mixing, c.bias),
        table,
        (0 * table.mixing, 0 * table.bias),
    )
    with pytest.raises(tg.InputError, match="a network has nothing to learn"):
        train_network(jax.random.key(0), constant, known)


def test_clusters_are_the_kinds_of_images():
    rng = np.random.default_rng(0)
    centres = np.repeat(rng.normal(size=(3, 16)) * 10, [40, 30, 3], 0)
    images = centres + rng.normal(size=centres.shape)
    for seed in range(3):
        found = clusters(images[:70], 2, seed)
        assert np.array_equal(np.unique(found), [0, 1])
        assert len(set(found[:40])) == len(set(found[40:])) == 1
        # Three images are too few for a covariance: they join the nearest other kind.
        merged = clusters(images, 3, seed)
        assert np.array_equal(np.unique(merged), np.arange(merged.max() + 1))
        assert np.bincount(merged).min() >= 5
        assert set(merged[:40]).isdisjoint(merged[40:70])
        kept = clusters(images, 3, seed, fewest=1)
        assert np.bincount(kept).min() >= 1
    assert np.array_equal(clusters(images, 3, 1), clusters(images, 3, 1))
    assert np.array_equal(clusters(images[:7], 5), np.zeros(7))
    with pytest.raises(tg.InputError, match="clusters = 0: give 1 or more"):
        clusters(images, 0)
