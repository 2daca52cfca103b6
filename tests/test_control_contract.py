"""One contract for every kind of control: what it is at each time, however it is run, kept or clamped."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thermogen as tg
from thermogen.computer import in_float64
from thermogen.langevin import sample_keys, standard_normal
from thermogen.storage.run_folder import compile_seconds

UNITS, N, COUNT = tg.Units(visible=6, hidden=3), 9, 4
SCHEDULE = tg.Schedule(t_f=0.16, dt=0.02)
T, STEPS, DT = SCHEDULE.t_f, SCHEDULE.steps, SCHEDULE.dt
J2, J4, MOBILITY, KT = np.linspace(0.7, 1.2, N), np.linspace(1.1, 0.8, N), np.linspace(0.8, 1.3, N), 0.25
EPS = 2.0**-23
ROUNDINGS = N + 8  # of a sum over N couplings and what a unit feels besides
CLASSES, CONDITIONS, LABELS = (7, 7, 3), np.array([2, 0, 1, 2]), np.array([7, 3, 3, 7])
TIMES = (0.0, 0.3 * T, 0.5 * T, 0.8 * T, T)  # in both segments, and where the second one opens


class Case(NamedTuple):
    """A control, and J (COUNT, N, N) and b (COUNT, N) of its samples at a time, stated in NumPy."""

    control: Any
    stated: Callable[[float], tuple[np.ndarray, np.ndarray]]


# --- the kinds of control: seed, and whether it is not to change in time, to a case ------------------------


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def symmetric(matrix):
    return (matrix + np.swapaxes(matrix, -1, -2)) / 2


def held(couplings, seed):
    """Couplings held in some way, and the same as a matrix."""
    J, V, H = np.zeros((N, N)), slice(0, 6), slice(6, N)
    if couplings == "blocks":
        full = symmetric(normal(seed, N, N))
        J = full - np.diag(np.diag(full))
        J[V, V] = 0
        return tg.published_couplings(UNITS).with_matrix(jnp.asarray(full)), J
    if couplings == "edges":
        pairs, values = np.array([(0, 1), (1, 4), (2, 8), (6, 3), (5, 0)]), normal(seed, 5)
        J[tuple(pairs.T)] = J[tuple(pairs.T[::-1])] = values
        return tg.couplings.from_pairs(UNITS, pairs).with_values(values), J
    if couplings == "low rank":
        left, right, own = normal(seed, 6, 2), normal(seed + 100, 3, 2), normal(seed + 200, 3, 1)
        J[V, H], J[H, H] = left @ right.T, -own @ own.T * (1 - np.eye(3))
        J[H, V] = J[V, H].T
        sides = jax.tree.map(jnp.asarray, ((left, -own), (right, own)))
        links = "visible-hidden", "hidden-hidden"
        return tg.couplings.LowRankCouplings(
            UNITS, *(dict(zip(links, side, strict=True)) for side in sides)
        ), J
    basis, mixing = normal(seed, N, 3) / 2, symmetric(normal(seed + 100, 3, 3))
    return tg.couplings.ModeCouplings(
        UNITS, jnp.asarray(basis), jnp.asarray(mixing)
    ), basis @ mixing @ basis.T


def units(couplings, bias: Any = 0.0):
    return tg.make_computer(couplings, bias=bias, J2=J2, J4=J4, mobility=MOBILITY, kT=KT)


def for_all(J, b):
    return np.broadcast_to(J, (COUNT, N, N)), np.broadcast_to(b, (COUNT, N))


def of_segment(values):
    """The J and b of the segment that a time falls into."""
    return lambda t: values[min(int(t / T * len(values) + 1e-4), len(values) - 1)]


def computer(couplings, seed, constant=False):
    (how, J), b = held(couplings, seed), normal(seed + 300, N)
    return Case(units(how, b), lambda t: for_all(J, b))


def segments(couplings, seed, constant=False):
    cases = [computer(couplings, seed if constant else seed + part) for part in (0, 1)]
    control = tg.Segments.from_computers([one.control for one in cases], T)
    return Case(control, of_segment([one.stated(0.0) for one in cases]))


def conditional(make, seed, constant=False):
    cases = {label: make("blocks", seed + 10 * label, constant) for label in (7, 3)}
    control = tg.PerClass.from_controls({label: one.control for label, one in cases.items()})

    def stated(t):
        rows = [cases[label].stated(t) for label in LABELS]
        return tuple(np.stack([row[part][0] for row in rows]) for part in (0, 1))

    return Case(control, stated)


def through_modes(basis, mixing, bias):
    """What tables and networks have in common."""
    arrays = {"basis": basis, "mixing": mixing, "bias": bias, "weights": np.full(3, 1 / 3, np.float32)}
    shared = {"reference": units(tg.couplings.NoCouplings(UNITS)), "classes": CLASSES, "duration": T}
    return {**shared, **jax.tree.map(jnp.asarray, arrays)}


def table(parts, seed, constant=False):
    basis = normal(seed, N, 3) / 2
    mixing, bias = symmetric(normal(seed + 1, 3, parts, 3, 3)), normal(seed + 2, 3, parts, N)
    if constant:
        mixing, bias = np.repeat(mixing[:, :1], parts, 1), np.repeat(bias[:, :1], parts, 1)
    values = [(basis @ mixing[CONDITIONS, part] @ basis.T, bias[CONDITIONS, part]) for part in range(parts)]
    return Case(tg.ModeTable(**through_modes(basis, mixing, bias)), of_segment(values))


def label_fields(seed, constant=False):
    plain, fields = computer("blocks", seed), normal(seed + 400, 3, N)
    control = tg.LabelFields(
        reference=plain.control, fields=jnp.asarray(fields), weights=jnp.full(3, 1 / 3), classes=CLASSES
    )
    J, b = plain.stated(0.0)
    return Case(control, lambda t: (J, b - fields[CONDITIONS]))


def network(seed, constant=False):
    net = tg.control.ModeNetwork.perceptron(jax.random.key(seed), conditions=3, terms=2, width=5, depth=1)
    if constant:  # deaf to time and its two harmonics
        net = eqx.tree_at(lambda n: n.layers[0].weight, net, net.layers[0].weight.at[:, :3].set(0.0))
    basis, mixing, bias = normal(seed, N, 3), symmetric(normal(seed + 1, 2, 3, 3)), normal(seed + 2, 2, N)
    control = tg.control.ModeNetwork(**through_modes(basis, mixing, bias), network=net)
    (A, a), (B, b) = [(np.asarray(one.weight, float), np.asarray(one.bias, float)) for one in net.layers]

    def stated(t):
        clock = [t / T, np.cos(np.pi * t / T), np.cos(2 * np.pi * t / T)]
        inputs = np.concatenate([np.tile(clock, (COUNT, 1)), np.eye(3)[CONDITIONS]], 1)
        weights = np.tanh(inputs @ A.T + a) @ B.T + b
        return basis @ np.tensordot(weights, mixing, 1) @ basis.T, weights @ bias

    return Case(control, stated)


def ramped(seed, constant=False):
    plain, field = computer("blocks", seed), normal(seed + 500, COUNT, N) * (not constant)
    control = tg.noising.RampedField(plain.control.uncoupled(), jnp.asarray(field), SCHEDULE)
    return Case(control, lambda t: for_all(np.zeros((N, N)), -max(0.0, 1 - t / (0.75 * T)) * field))


HELD = ("blocks", "edges", "low rank", "modes")
KINDS: dict[str, Callable[..., Case]] = {
    **{name: lambda *given, name=name: computer(name, *given) for name in HELD},
    **{f"segments of {name}": lambda *given, name=name: segments(name, *given) for name in HELD[:3]},
    "conditional": lambda *given: conditional(computer, *given),
    "conditional of segments": lambda *given: conditional(segments, *given),
    "table of one segment": lambda *given: table(1, *given),
    "table of two segments": lambda *given: table(2, *given),
    "label fields": label_fields,
    "network": network,
}
CHANGING = {name for name in KINDS if "segments" in name} | {"network"}
MOVERS = {**KINDS, "ramped field": ramped}
# `Segments.prepared` lays couplings out under `vmap`: the neighbours that `PreparedRows` looks up get an axis
# of segments as well, and `Segments.part` takes a segment of real numbers alone.


def every(kinds):
    return pytest.mark.parametrize("make", list(kinds.values()), ids=list(kinds))


# --- how controls are run, in NumPy and otherwise ----------------------------------------------------------


def movers(control):
    """What moves the samples, and which of them."""
    if isinstance(control, tg.PerClass):
        return [(control.choose(label), np.flatnonzero(label == LABELS)) for label in control.labels]
    return [(control.select(CONDITIONS) if getattr(control, "classes", ()) else control, np.arange(COUNT))]


def draw(control, schedule=SCHEDULE, **options):
    """`generate` without a film, of the samples that the cases state."""
    if not options.keys() & {"labels", "conditions"}:
        options |= {"labels": LABELS} if isinstance(control, tg.PerClass) else {}
        options |= {"conditions": CONDITIONS} if getattr(control, "classes", ()) else {}
    return tg.generate(jax.random.key(1), control, COUNT, schedule, film_frames=1, **options)


def start_of(control):
    """The states that `draw` starts from."""
    return tg.langevin.sample_uncoupled(
        jax.random.split(jax.random.key(1))[0], control.uncoupled(), jnp.arange(COUNT)
    )


def added(*terms):
    """Sum along the last axis, and the rounding that it has in float32."""
    terms = np.concatenate(terms, -1)
    return terms.sum(-1), ROUNDINGS * EPS * np.abs(terms).sum(-1).max()


def slope(J, b, x):
    x = np.asarray(x, float)
    return added(np.stack([2 * J2 * x, 4 * J4 * x**3, b], -1), J * x[:, None])


def energy(J, b, x):
    x = np.asarray(x, float)
    return added(J2 * x**2, J4 * x**4, b * x, (x[:, :, None] * J * x[:, None] / 2).reshape(COUNT, -1))


def euler(case, x0, key):
    """A plain loop with the same noise: end states, heat, work, and the roundings of states and energies."""
    x, heat, work, rounding = np.asarray(x0, float), np.zeros(COUNT), np.zeros(COUNT), np.zeros(2)
    keys = sample_keys(key, jnp.arange(COUNT))
    for k in range(STEPS):
        noise = np.asarray(standard_normal(keys, k, N, jnp.float32), float)
        now, later = case.stated(k * DT), case.stated((k + 1) * DT)
        pull, error = slope(*now, x)
        after = x - MOBILITY * pull * DT + np.sqrt(2 * MOBILITY * KT * DT) * noise
        (before, _), (moved, size), (switched, _) = (
            energy(*parts, y) for parts, y in ((now, x), (now, after), (later, after))
        )
        heat, work, x = heat + before - moved, work + switched - moved, after
        rounding += 4 * EPS * np.abs(x).max() + MOBILITY.max() * DT * error, size
    return x, heat, work, *rounding


def counted():
    """An integrator of its own, which nothing has compiled yet, and the list of its traces."""
    traces = []

    class Counted(tg.EulerMaruyama):
        def step(self, *inputs):
            traces.append(1)
            return super().step(*inputs)

    return Counted(), traces


# --- the contract -------------------------------------------------------------------------------------------


@every(MOVERS)
def test_at_is_the_computer_that_is_stated(make):
    case = make(0)
    x = jnp.asarray(normal(1, COUNT, N))
    for (mover, rows), t in [(one, t) for one in movers(case.control) for t in TIMES]:
        found = mover.at(t)
        for name, value in (("J2", J2), ("J4", J4), ("mobility", MOBILITY), ("kT", KT)):
            assert np.array_equal(getattr(found, name), np.float32(value))
        for ours, (exact, rounding) in (
            (found.gradient(x[rows]), slope(*case.stated(t), x)),
            (found.energy(x[rows]), energy(*case.stated(t), x)),
        ):
            assert np.abs(ours - exact[rows]).max() < rounding, t


@every(MOVERS)
def test_prepared_exerts_the_same_forces(make):
    case = make(0)
    x = jnp.asarray(normal(2, COUNT, N))
    for (mover, rows), t in [(one, t) for one in movers(case.control) for t in TIMES]:
        ours, theirs = (each.at(t).force(x[rows]) for each in (mover.prepared(), mover))
        assert np.abs(ours - theirs).max() < slope(*case.stated(t), x)[1], t


@every(MOVERS)
def test_another_control_of_the_shape_traces_nothing_and_both_are_the_plain_loop(make):
    method, traces = counted()
    first, second = make(0), make(1)
    x0, key = jnp.asarray(normal(3, COUNT, N) / 2), jax.random.key(4)
    seen = []
    for case in (first, second):
        exact, heat, work, near, close = euler(case, x0, key)
        for mover, rows in movers(case.control):
            run = tg.simulate(
                key, mover, x0[rows], steps=STEPS, dt=DT, samples=jnp.asarray(rows), integrator=method,
                observers={"law": tg.langevin.HeatAndWork()},
            )  # fmt: skip
            law = {name: value[-1] for name, value in run.records["law"].items()}
            assert np.abs(run.final - exact[rows]).max() < near
            assert np.abs(law["heat"] - heat[rows]).max() < close
            assert np.abs(law["work"] - work[rows]).max() < close
        seen.append(len(traces))
    assert seen[0] == seen[1] > 0


@every(KINDS)
def test_generation_traces_once_and_is_the_plain_loop(make):
    method, traces = counted()
    first, second = make(0), make(1)
    starts = [start_of(case.control) for case in (first, second)]
    seen = []
    for case, x0 in zip((first, second), starts, strict=True):
        samples = draw(case.control, integrator=method)
        seen.append((len(traces), compile_seconds()))
        x, heat, work, near, close = euler(case, x0, jax.random.split(jax.random.key(1))[1])
        assert np.abs(samples.x - x).max() < near
        assert np.abs(samples.heat - heat).max() < close
        assert np.abs(samples.switching - work).max() < close
    assert seen[0] == seen[1]
    assert traces


@every(KINDS)
def test_a_saved_control_comes_back_bit_for_bit(make, tmp_path):
    saved = make(0).control
    folder = tg.Model(saved, SCHEDULE, (2, 3)).save_pretrained(tmp_path / "m")
    loaded = tg.Model.from_pretrained(folder).computer
    assert jax.tree.structure(loaded) == jax.tree.structure(saved)
    leaves = [jax.tree.leaves(eqx.filter(one, eqx.is_array)) for one in (loaded, saved)]
    for ours, theirs in zip(*leaves, strict=True):
        assert np.array_equal(ours, theirs)
        assert ours.dtype == theirs.dtype
    ours, theirs = draw(loaded), draw(saved)
    for name in ("x", "heat", "work", "film"):
        assert np.array_equal(getattr(ours, name), getattr(theirs, name)), name


@every(KINDS)
def test_the_first_law_closes_and_a_constant_control_releases_what_its_energy_loses(make, request):
    with jax.enable_x64(True):
        for constant in (False, True):
            control = in_float64(make(0, constant).control)
            samples, x0 = draw(control), start_of(control)
            rest, before, after = np.asarray(control.uncoupled().energy(x0)), np.zeros(COUNT), np.zeros(COUNT)
            for mover, rows in movers(control):
                before[rows] = mover.at(0.0).energy(x0[rows])
                after[rows] = mover.at(T).energy(jnp.asarray(samples.x[rows]))
            assert samples.heat.dtype == np.float64
            assert np.abs(samples.start.total - before).max() < 1e-12
            assert np.abs(samples.end.total - after).max() < 1e-12
            assert np.abs(samples.heat + (after - rest) - samples.work).max() < 1e-12
            if constant or request.node.callspec.id not in CHANGING:
                assert np.abs(samples.heat - (before - after)).max() < 1e-12
                assert np.abs(samples.switching).max() < 1e-12
            else:
                assert np.abs(samples.switching).min() > 1e-4


@every(KINDS)
def test_clamped_units_keep_their_values_and_the_others_move(make):
    control = make(0).control
    units, values = np.isin(np.arange(N), [0, 4, 7]), normal(5, COUNT, N)
    samples, x0 = draw(control, clamp=tg.Clamp(units, values)), np.asarray(start_of(control))
    assert np.array_equal(samples.x[:, units], values[:, units])
    assert np.array_equal(samples.film[:, :, [0, 4]], np.broadcast_to(values[:, [0, 4]], (2, COUNT, 2)))
    assert (samples.x != x0)[:, ~units].all()


@every(MOVERS)
def test_in_float64_it_is_the_same_control(make):
    case = make(0)
    x = jnp.asarray(normal(6, COUNT, N))
    for t in TIMES:
        single = [mover.at(t).force(x[rows]) for mover, rows in movers(case.control)]
        with jax.enable_x64(True):
            control, y = in_float64(case.control), jnp.asarray(x, float)
            held_in = {leaf.dtype for leaf in jax.tree.leaves(eqx.filter(control, eqx.is_inexact_array))}
            assert held_in == {np.dtype(np.float64)}
            double = [mover.at(t).force(y[rows]) for mover, rows in movers(control)]
        rounding = slope(*case.stated(t), x)[1]
        for ours, theirs in zip(double, single, strict=True):
            assert ours.dtype == np.float64
            assert np.abs(np.asarray(ours) - np.asarray(theirs)).max() < rounding, t


# --- what kinds of control refuse ---------------------------------------------------------------------------

LASTING = CHANGING | {"table of one segment"}
CONDITIONED = {name for name in KINDS if "table" in name} | {"label fields", "network"}


def refused(call, message):
    with pytest.raises(tg.InputError, match=message):
        call()


@pytest.mark.parametrize("name", KINDS)
def test_generation_refuses_what_a_control_cannot_be_asked_for(name):
    control, labelled = KINDS[name](0).control, name in CONDITIONED or "conditional" in name
    message = "label 5 was not trained: choose among" if labelled else "couplings do not depend on a label"
    refused(lambda: draw(control, labels=np.full(COUNT, 5)), message)
    message = "give numbers of 0 to 2" if name in CONDITIONED else "the control has none"
    refused(lambda: draw(control, conditions=np.full(COUNT, 9)), message)
    if name in LASTING:
        longer = tg.Schedule(t_f=2 * T, dt=DT)
        refused(lambda: draw(control, longer), r"lasts 0\.16, the schedule t_f = 0\.32")
    if "segments" in name:
        refused(lambda: draw(control, tg.Schedule(t_f=T, dt=T / 7)), "2 segments do not divide the 7 steps")


@pytest.mark.parametrize(
    ("control", "message"),
    [
        (lambda: table(1, 0).control.select(CONDITIONS), "each sample has couplings of its own"),
        (lambda: table(2, 0).control.select(CONDITIONS), "each sample has couplings of its own"),
        (lambda: computer("blocks", 0).control.prepared(), "type PreparedBlocks cannot be saved"),
        (lambda: ramped(0).control.at(0.0), "type NoCouplings cannot be saved"),
        (lambda: ramped(0).control, "type NoCouplings cannot be saved"),
    ],
)
def test_what_is_made_for_a_run_is_not_saved(control, message, tmp_path):
    model = tg.Model(control(), SCHEDULE, (2, 3))
    refused(lambda: model.save_pretrained(tmp_path / "m"), message)
    assert not list(tmp_path.iterdir())
