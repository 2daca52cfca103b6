import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.linalg import solve_banded

import thermogen as tg
from thermogen.langevin import sample_keys
from thermogen.noising import noising_start, noising_stretch
from thermogen.noising.moments import UnitKind, unit_moments
from thermogen.thermodynamics.path import gradient_of_residuals, residuals
from thermogen.training import solve, solve_all_pairs, statistics
from thermogen.training.exact.statistics import Dense, Factored

UNITS = tg.Units(visible=6, hidden=5)
SCHEDULE = tg.Schedule(t_f=2.5, dt=0.005)
UNIT = [UnitKind(1.0, 1.0)]


def problem(images=3, seed=0):
    return tg.imprint_fields(np.random.default_rng(seed).normal(size=(images, 6)), np.arange(images), 5)


def equilibrium(J2, J4, kT, field):
    """Mean and mean square of a unit at rest in a field, by quadrature."""
    x = np.linspace(-3, 3, 200001)
    depth = -(J2 * x**2 + J4 * x**4 - field * x) / kT
    weight = np.exp(depth - depth.max())
    return (weight * x).sum() / weight.sum(), (weight * x**2).sum() / weight.sum()


def test_moments_of_a_linear_unit_are_those_of_its_ornstein_uhlenbeck_process():
    (moments,) = unit_moments([UnitKind(1.0, 0.0)], 0.1, tg.Schedule(), 3.0)
    ramp = 0.75 * 2.5

    def slope(t, mean):
        return -2 * mean + max(0.0, 1 - t / ramp) * moments.fields

    exact = solve_ivp(
        slope, (0, 2.5), moments.fields / 2, t_eval=moments.times, rtol=1e-11, atol=1e-12, max_step=0.01
    ).y
    assert np.abs(moments.mean - exact).max() < 2e-6
    assert np.abs(moments.square - exact**2 - 0.05).max() < 2e-6
    assert np.allclose(moments.slope, 2 * moments.mean)
    assert moments.weights.sum() == pytest.approx(2.5)


def test_moments_between_the_nodes_are_those_of_the_equilibrium_and_none_lie_beyond_the_table():
    (moments,) = unit_moments(UNIT, 0.1, tg.Schedule(), 8.0)
    fields = np.linspace(-7.9, 7.9, 12)
    exact = [equilibrium(1.0, 1.0, 0.1, field) for field in fields]
    inside = moments.at(fields)
    assert np.abs(inside.mean[:, 0] - [one[0] for one in exact]).max() < 1e-8
    assert np.abs(inside.square[:, 0] - [one[1] for one in exact]).max() < 1e-8
    with pytest.raises(tg.InputError, match=r"field 8\.1 is beyond the table, which ends at 8"):
        moments.at(np.array([0.0, 8.1]))


def test_segments_have_their_own_quadrature():
    (moments,) = unit_moments(UNIT, 0.1, tg.Schedule(), 4.0, segments=3)
    assert np.allclose(moments.weights.sum(1), 2.5 / 3)
    assert np.allclose(moments.weights @ moments.times**3, np.diff((np.arange(4) * 2.5 / 3) ** 4) / 4)


@pytest.mark.parametrize(("J2", "J4", "kT"), [(1.0, 1.0, 0.1), (-0.5, 1.0, 0.1), (0.0, 2.0, 0.3)])
def test_moments_start_from_the_exact_equilibrium(J2, J4, kT):
    (moments,) = unit_moments([UnitKind(J2, J4)], kT, tg.Schedule(), 4.0)
    for i in (0, 7, -1):
        mean, square = equilibrium(J2, J4, kT, moments.fields[i])
        assert moments.mean[i, 0] == pytest.approx(mean, abs=1e-9)
        assert moments.square[i, 0] == pytest.approx(square, abs=1e-9)


def test_moments_converge_and_state_their_error():
    rough, fine = (
        unit_moments(UNIT, 0.1, tg.Schedule(), 6.0, cells=cells, steps=steps)[0]
        for cells, steps in ((200, 160), (400, 320))
    )
    difference = np.abs(rough.mean - fine.mean[:, ::2]).max()
    assert difference < 1e-6
    assert difference < rough.error.min()


@pytest.mark.parametrize(("kind", "kT"), [(UnitKind(1.0, 1.0), 0.1), (UnitKind(-0.5, 1.0, 1.3), 0.1)])
def test_moments_are_those_of_plain_finite_differences_on_a_fine_grid(kind, kT):
    """Central differences and implicit midpoint steps, extrapolated: another scheme on another grid."""
    field, schedule = 3.0, tg.Schedule()
    moments = unit_moments([kind], kT, schedule, 4.0)[0].at(np.array([field]))

    def at_the_end(cells, steps):
        x, dt = np.linspace(-2.0, 2.4, cells + 1), 2.5 / steps
        faces, h = (x[1:] + x[:-1]) / 2, x[1] - x[0]
        depth = (kind.J2 * x**2 + kind.J4 * x**4 - field * x) / kT
        p = np.exp(depth.min() - depth)
        p /= p.sum()
        for step in range(steps):
            ramp = max(0.0, 1 - (step + 0.5) * dt / 1.875)
            drift = ramp * field - 2 * kind.J2 * faces - 4 * kind.J4 * faces**3
            right, left = (kind.mobility * (kT / h + sign * drift / 2) / h for sign in (1, -1))
            own = np.append(right, 0.0) + np.append(0.0, left)
            bands = np.stack([np.append(0.0, -left), own, np.append(-right, 0.0)]) * dt / 2
            flow = bands[1] * p
            flow[:-1] += bands[0, 1:] * p[1:]
            flow[1:] += bands[2, :-1] * p[:-1]
            bands[1] += 1
            p = solve_banded((1, 1), bands, p - flow)
        return np.array([p @ x, p @ x**2])

    exact = (4 * at_the_end(1600, 1200) - at_the_end(800, 600)) / 3
    assert np.abs([moments.mean[0, -1], moments.square[0, -1]] - exact).max() < 1e-6


def test_kinds_together_have_the_moments_of_each_alone():
    kinds = [UnitKind(1.0, 1.0), UnitKind(-0.3, 1.0), UnitKind(0.9, 0.8, 1.3)]
    for kind, table in zip(kinds, unit_moments(kinds, 0.1, tg.Schedule(), 6.0, segments=2), strict=True):
        (alone,) = unit_moments([kind], 0.1, tg.Schedule(), 6.0, segments=2)
        for name in ("fields", "weights", "mean", "square", "slope"):
            assert np.abs(getattr(table, name) - getattr(alone, name)).max() < 1e-12


def test_moments_agree_with_simulated_paths():
    computer = tg.make_computer(tg.published_couplings(tg.Units(4, 1)))
    schedule = tg.Schedule(t_f=2.5, dt=0.0025)
    field = jnp.array([0.5, 1.5, 3.0, 5.0, 6.0])
    control = tg.noising.RampedField(computer.uncoupled(), jnp.broadcast_to(field, (8000, 5)), schedule)
    start = noising_start(jax.random.key(0), control.reference, control.field, jnp.arange(8000))
    film = tg.simulate(
        jax.random.key(1),
        control,
        start,
        steps=1000,
        dt=0.0025,
        integrator=tg.StochasticHeun(),
        observers={"film": tg.langevin.Snapshots()},
        every=250,
    ).records["film"]
    moments = unit_moments(UNIT, 0.1, schedule, 6.5)[0].at(np.asarray(field))
    for record, t in enumerate((0, 0.625, 1.25, 1.875, 2.5)):
        place = np.abs(moments.times - t).argmin()
        assert moments.times[place] == pytest.approx(t)
        x = np.asarray(film[record], float)
        for values, exact in ((x, moments.mean), (x * x, moments.square)):
            error = values.std(0, ddof=1) / np.sqrt(len(values))
            assert (np.abs(values.mean(0) - exact[:, place]) / error).max() < 4


@pytest.mark.parametrize("visible_biases", [False, True])
@pytest.mark.parametrize("name", ["published", "all", "planes"])
def test_the_solution_is_that_of_the_dense_linear_system(name, visible_biases):
    wiring = {
        "published": tg.published_couplings(UNITS),
        "all": tg.couplings.all_to_all(UNITS),
        "planes": tg.couplings.planes(UNITS, 2, 3),
    }[name]
    computer = tg.make_computer(wiring, J2=np.repeat([0.7, 1.2], [4, 7]))
    known = statistics(computer, problem(), SCHEDULE)[0]
    result = solve(computer, known, visible_biases=visible_biases, tolerance=1e-10)
    C, U = known.second_moment(), known.cross_moment()
    pairs = np.argwhere(np.triu(np.asarray(wiring.mask())))
    biased = np.arange(0 if visible_biases else 6, 11)
    size = len(pairs) + len(biased)

    def gradient(theta):
        J, b = np.zeros((11, 11)), np.zeros(11)
        J[pairs[:, 0], pairs[:, 1]] = J[pairs[:, 1], pairs[:, 0]] = theta[: len(pairs)]
        b[biased] = theta[len(pairs) :]
        half = J @ C + np.outer(b, known.units.mean) + U
        full = half + half.T
        return np.concatenate(
            [full[pairs[:, 0], pairs[:, 1]], (J @ known.units.mean + b * 2.5 + known.units.drive)[biased]]
        )

    offset = gradient(np.zeros(size))
    matrix = np.stack([gradient(column) - offset for column in np.eye(size)], 1)
    assert np.allclose(matrix, matrix.T)
    assert np.linalg.eigvalsh(matrix).min() > 0
    theta = np.linalg.solve(matrix, -offset)
    J = np.asarray(result.computer.couplings.matrix())
    assert np.allclose(J[pairs[:, 0], pairs[:, 1]], theta[: len(pairs)], atol=1e-5)
    assert np.allclose(np.asarray(result.computer.bias)[biased], theta[len(pairs) :], atol=1e-5)
    assert result.residual < 1e-10


def test_the_mean_stochastic_gradient_is_the_exact_one_and_vanishes_at_the_solution():
    computer = tg.make_computer(tg.published_couplings(UNITS))
    fields = problem(images=2)
    known = statistics(computer, fields, SCHEDULE)[0]
    trained = solve(computer, known).computer
    C, U = known.second_moment(), known.cross_moment()
    samples = jnp.arange(600)
    control = tg.noising.RampedField(computer.uncoupled(), fields[samples % 2], tg.Schedule(2.5, 0.0025))
    start = noising_start(jax.random.key(0), control.reference, control.field, samples)
    path = noising_stretch(sample_keys(jax.random.key(1), samples), control, start, 0, 1000)
    mask = np.asarray(computer.couplings.mask())
    for each in (computer, trained):
        J, b = np.asarray(each.couplings.matrix(), float), np.asarray(each.bias, float)
        half = J @ C + np.outer(b, known.units.mean) + U
        exact = np.where(mask, half + half.T, 0) / (2 * 0.1)

        def of_one(one, each=each):
            r = residuals(each, one[:, None], 0.0025)
            return gradient_of_residuals(each, r, one[:, None]).couplings.matrix()

        sampled = np.asarray(jax.lax.map(of_one, path.transpose(1, 0, 2)), float)
        error = sampled.std(0, ddof=1) / np.sqrt(len(samples))
        z = np.abs(sampled.mean(0) - exact)[mask] / error[mask]
        assert z.max() < 4
        if each is trained:
            assert np.abs(exact).max() < 1e-4


def test_exact_training_beats_descent_on_paths_neither_has_seen():
    computer, fields = tg.make_computer(tg.published_couplings(UNITS)), problem()
    exact = tg.train_exact(jax.random.key(0), computer, fields, SCHEDULE).computer
    descended = tg.train(jax.random.key(0), computer, fields, SCHEDULE, cycles=60).computer
    paths = jnp.arange(300)
    losses = [
        np.asarray(tg.training.path_loss(jax.random.key(5), each, fields, SCHEDULE, paths), float)
        for each in (exact, descended)
    ]
    difference = losses[0] - losses[1]
    assert difference.mean() < -4 * difference.std(ddof=1) / np.sqrt(len(difference))


@pytest.mark.parametrize("images", [5, 40])
def test_statistics_of_shards_add_up_and_sums_are_those_of_the_factors(images):
    computer, fields = (
        tg.make_computer(tg.published_couplings(UNITS), J2=np.repeat([0.7, 1.2], [4, 7])),
        problem(images),
    )
    whole = statistics(computer, fields, SCHEDULE, segments=2)[1]
    blocks = [fields[:2], fields[2:3], fields[3:]]
    shards = [statistics(computer, block, SCHEDULE, segments=2)[1] for block in blocks]
    for parts in (
        shards[0].merged(shards[1].merged(shards[2])),
        shards[2].merged(shards[0]).merged(shards[1]),
    ):
        assert parts.images == images
        assert np.allclose(parts.second_moment(), whole.second_moment(), rtol=0, atol=3e-6)
        assert np.allclose(parts.cross_moment(), whole.cross_moment(), rtol=0, atol=2e-5)
        assert all(
            np.allclose(a, b, rtol=0, atol=3e-6) for a, b in zip(parts.units, whole.units, strict=True)
        )
    assert isinstance(shards[0].pairs, Factored)
    assert isinstance(whole.pairs, Factored if images == 5 else Dense)
    streamed = statistics(computer, iter(blocks), SCHEDULE, segments=2)[1]
    assert np.allclose(streamed.second_moment(), whole.second_moment(), rtol=0, atol=3e-6)


def test_segments_add_up_to_the_whole():
    computer, fields = tg.make_computer(tg.published_couplings(UNITS)), problem()
    whole = statistics(computer, fields, SCHEDULE)[0]
    parts = statistics(computer, fields, SCHEDULE, segments=3)
    for name in ("second_moment", "cross_moment"):
        total = sum(getattr(part, name)() for part in parts)
        assert np.allclose(total, getattr(whole, name)(), rtol=0, atol=1e-7)
    for all_three, one in zip(zip(*(part.units for part in parts), strict=True), whole.units, strict=True):
        assert np.allclose(sum(all_three), one, rtol=0, atol=1e-7)


def test_statistics_are_those_of_simulated_noising():
    """Every entry of C and U against sampled paths, the diagonal included."""
    computer, fields = tg.make_computer(tg.published_couplings(UNITS)), problem(images=1)
    known = statistics(computer, fields, SCHEDULE)[0]
    schedule = tg.Schedule(2.5, 0.0025)
    control = tg.noising.RampedField(computer.uncoupled(), jnp.broadcast_to(fields, (1500, 11)), schedule)
    samples = jnp.arange(1500)
    start = noising_start(jax.random.key(0), control.reference, control.field, samples)
    path = noising_stretch(sample_keys(jax.random.key(1), samples), control, start, 0, 1000)
    x, dx = path[1:], path[1:] - path[:-1]
    slope = 2 * x + 4 * x**3
    second = jnp.einsum("tbi,tbj->bij", x, x) * 0.0025
    # Minus the displacement plus the drift of the reversed step is what couples to x' (physics, section 4).
    cross = jnp.einsum("tbi,tbj->bij", -dx + slope * 0.0025, x)
    for values, exact in ((second, known.second_moment()), (cross, known.cross_moment())):
        values = np.asarray(values, float)
        error = values.std(0, ddof=1) / np.sqrt(len(samples))
        assert (np.abs(values.mean(0) - exact) / error).max() < 4.5


def test_no_convergence_and_no_field_are_said():
    computer, fields = tg.make_computer(tg.published_couplings(UNITS)), problem()
    known = statistics(computer, fields, SCHEDULE)[0]
    with pytest.raises(tg.InputError, match=r"stopped at a residual of .* after 2 iterations"):
        solve(computer, known, iterations=2)
    with pytest.raises(tg.InputError, match="largest field = 0"):
        statistics(computer, fields * 0, SCHEDULE)


@pytest.mark.parametrize("biases", [False, True])
def test_with_all_pairs_and_stiffness_the_gradient_vanishes_on_the_diagonal_too(biases):
    computer, fields = tg.make_computer(tg.couplings.all_to_all(UNITS)), problem()
    known = statistics(computer, fields, SCHEDULE)[0]
    result = solve_all_pairs(computer, known, biases=biases)
    trained = result.computer
    J = np.asarray(trained.couplings.matrix(), float)
    J += np.diag(2 * np.asarray(trained.J2 - computer.J2, float))
    half = J @ known.second_moment() + np.outer(trained.bias, known.units.mean) + known.cross_moment()
    assert np.abs(half + half.T).max() < 1e-5
    assert result.residual < 1e-12
    if biases:
        slope = J @ known.units.mean + np.asarray(trained.bias) * 2.5 + known.units.drive
        assert np.abs(slope).max() < 1e-5
    # More freedom, less loss: on paths that neither has seen.
    masked = solve(computer, known, visible_biases=biases).computer
    paths, idle = jnp.arange(400), computer.uncoupled()
    losses = [
        np.asarray(tg.training.path_loss(jax.random.key(5), each, fields, SCHEDULE, paths, idle), float)
        for each in (trained, masked)
    ]
    difference = losses[0] - losses[1]
    assert difference.mean() < -4 * difference.std(ddof=1) / np.sqrt(len(difference))
    with pytest.raises(tg.InputError, match="couples 40 of 55 pairs"):
        solve_all_pairs(tg.make_computer(tg.published_couplings(UNITS)), known)


def test_long_sums_are_gone_on_from(tmp_path, monkeypatch):
    """Stopped after two of four blocks, with the sums stored; then the rest, and the same numbers."""
    computer, fields = tg.make_computer(tg.published_couplings(UNITS)), problem(images=120)
    blocks = [np.asarray(fields[i : i + 30]) for i in range(0, 120, 30)]
    whole = statistics(computer, iter(blocks), SCHEDULE)[0]
    file = tmp_path / "sums"

    def stop(images):
        if images == 60:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        statistics(computer, iter(blocks), SCHEDULE, checkpoint=file, identity={"a": 1}, progress=stop)
    seen = []
    arguments = {"checkpoint": file, "identity": {"a": 1}, "progress": seen.append}
    resumed = statistics(computer, iter(blocks), SCHEDULE, **arguments)[0]
    assert seen == [90, 120]
    assert np.allclose(resumed.second_moment(), whole.second_moment(), rtol=0, atol=1e-12)
    assert np.allclose(resumed.cross_moment(), whole.cross_moment(), rtol=0, atol=1e-12)
    with pytest.raises(tg.InputError, match="statistics of other settings"):
        statistics(computer, iter(blocks), SCHEDULE, checkpoint=file, identity={"a": 2})
    with pytest.raises(tg.InputError, match="ends within a block of images"):
        statistics(computer, fields, SCHEDULE, checkpoint=file, identity={"a": 1})


def test_images_that_teach_nothing_are_refused():
    computer, fields = tg.make_computer(tg.published_couplings(UNITS)), problem()
    with pytest.raises(tg.InputError, match="1 image: exact training needs two or more"):
        tg.train_exact(jax.random.key(0), computer, fields[:1], SCHEDULE)
    with pytest.raises(tg.InputError, match="images 0 and 2 are equal: leave one of them out"):
        tg.train_exact(jax.random.key(0), computer, fields[jnp.array([0, 1, 0])], SCHEDULE)
    with pytest.raises(tg.InputError, match=r"the images teach no coupling.*give the hidden ones an imprint"):
        tg.train_exact(jax.random.key(0), computer, fields.at[:, UNITS.slice("hidden")].set(0), SCHEDULE)


def test_compression_keeps_the_force_to_the_stated_error():
    computer = tg.make_computer(tg.published_couplings(tg.Units(36, 24)))
    images = np.random.default_rng(3).normal(size=(2, 36))
    fields = tg.imprint_fields(images, [0, 1], 24, imprint="code")
    result = tg.train_exact(jax.random.key(0), computer, fields, SCHEDULE, visible_biases=True)
    packed = tg.train_exact(
        jax.random.key(0), computer, fields, SCHEDULE, visible_biases=True, compression=1e-3
    )
    C = statistics(computer, fields, SCHEDULE)[0].second_moment()
    J, near = (np.asarray(one.computer.couplings.matrix(), float) for one in (result, packed))
    error = np.sqrt(np.trace((J - near) @ C @ (J - near)) / np.trace(J @ C @ J))
    assert error <= 1e-3
    assert error == pytest.approx(packed.exact["force_error"], abs=1e-6)
    assert packed.exact["ranks"]["visible-hidden"] <= 3
    assert packed.computer.couplings.count() < result.computer.couplings.count() / 4
