"""Computers too large for any N x N number: wiring, products, exact training, folders."""

import json
from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.csgraph

import thermogen as tg
from thermogen.couplings.layout import Bands, Rows
from thermogen.studies.experiment import wiring
from thermogen.training import solve, solve_all_pairs, statistics

SCHEDULE = tg.Schedule(t_f=2.5, dt=0.01)
UNITS = tg.Units(visible=30, hidden=30)
LARGE = tg.Units(visible=200 * 200, hidden=20_000)


APPLY = eqx.filter_jit(lambda couplings, x: couplings.apply(x))
OUTER = eqx.filter_jit(lambda couplings, r, x: couplings.outer(r, x))


def random_pairs(total, edges, seed=0):
    i, j = np.triu_indices(total, 1)
    chosen = np.random.default_rng(seed).choice(len(i), edges, replace=False)
    return np.stack([j[chosen], i[chosen]], 1)  # the larger unit first: any order will do


def star(total):
    """One unit coupled to all others, and a ring: neighbours from 3 to N - 1."""
    ring = [[i, i + 1] for i in range(1, total - 1)]
    return np.array([[0, i] for i in range(1, total)] + ring)


WIRINGS = {
    "planes": (lambda: tg.couplings.planes(UNITS, 5, 6), Bands),
    "planes of radius 1.5": (lambda: tg.couplings.planes(UNITS, 5, 6, radius=1.5), Bands),
    "scattered": (lambda: tg.couplings.scattered(UNITS, 7), Bands),
    "random": (lambda: tg.couplings.from_pairs(UNITS, random_pairs(60, 200)), Rows),
    "star": (lambda: tg.couplings.from_pairs(UNITS, star(60)), Rows),
    "one pair": (lambda: tg.couplings.from_pairs(UNITS, np.array([[59, 3]])), Rows),
}


def with_random_values(couplings, seed=1):
    values = 0.1 * np.random.default_rng(seed).normal(size=couplings.count())
    return couplings.with_values(jnp.asarray(values, jnp.float32))


def dense(couplings):
    J = np.zeros((couplings.units.total,) * 2)
    for (i, j), value in zip(np.asarray(couplings.pairs), np.asarray(couplings.values, float), strict=True):
        J[i, j] = J[j, i] = value
    return J


@pytest.mark.parametrize("name", WIRINGS)
def test_every_layout_is_the_dense_matrix(name):
    make, layout = WIRINGS[name]
    couplings = with_random_values(make())
    assert isinstance(couplings.layout, layout)
    J = dense(couplings)
    x = jax.random.normal(jax.random.key(0), (2, 3, 60))
    for form in (couplings, couplings.prepared()):
        for state in (x, x[0, 0]):
            assert np.allclose(APPLY(form, state), np.asarray(state, float) @ J, atol=1e-5)
    assert np.allclose(eqx.filter_jit(couplings.prepared().matrix)(), J, atol=1e-6)
    assert np.array_equal(couplings.mask(), J != 0)
    r, y = jax.random.normal(jax.random.key(1), (2, 13, 60))
    r, y = np.asarray(r, float), np.asarray(y, float)
    signal = dense(OUTER(couplings, jnp.asarray(r, jnp.float32), jnp.asarray(y, jnp.float32)))
    assert np.allclose(signal, np.where(J != 0, r.T @ y + y.T @ r, 0), atol=1e-4)
    # Under vmap and differentiation too.
    each = jax.jit(jax.vmap(couplings.apply))(x)
    assert np.allclose(each, np.asarray(x, float) @ J, atol=1e-5)
    slope = jax.jit(jax.grad(couplings.energy))(x[0, 0])
    assert np.allclose(slope, np.asarray(x[0, 0], float) @ J, atol=1e-5)


def test_pairs_within_a_radius_are_those_of_the_distance():
    couplings = tg.couplings.planes(tg.Units(visible=20, hidden=33), 4, 5, radius=1.5)
    unit = np.arange(53)
    place = np.stack([unit // 20, unit % 20 // 5, unit % 5], 1)
    distance = np.sqrt(((place[:, None] - place) ** 2).sum(-1))
    assert np.array_equal(couplings.mask(), (distance <= 1.5) & (distance > 0))


def test_scattered_neighbours_are_as_many_as_asked_for_on_average_and_reach_far():
    couplings = tg.couplings.scattered(tg.Units(visible=3000), 12)
    degree = np.bincount(np.asarray(couplings.pairs).reshape(-1), minlength=3000)
    # N - d pairs at distance d, d uniform: a mean degree of 12 with a standard error of 2.
    assert abs(degree.mean() - 12) < 4 * 2
    graph = scipy.sparse.coo_array((np.ones(couplings.count()), np.asarray(couplings.pairs).T), (3000, 3000))
    steps = scipy.sparse.csgraph.shortest_path(
        graph.tocsr(), directed=False, unweighted=True, indices=[0, 1500]
    )
    assert steps.max() <= 6
    assert np.array_equal(couplings.pairs, tg.couplings.scattered(tg.Units(visible=3000), 12).pairs)
    assert not np.array_equal(
        couplings.pairs, tg.couplings.scattered(tg.Units(visible=3000), 12, seed=1).pairs
    )


@pytest.mark.parametrize("triangle", [scipy.sparse.triu, scipy.sparse.tril, lambda matrix: matrix])
def test_a_sparse_matrix_wires_the_pairs_that_it_fills(triangle):
    mask = np.zeros((60, 60), bool)
    pairs = random_pairs(60, 100)
    mask[pairs[:, 0], pairs[:, 1]] = mask[pairs[:, 1], pairs[:, 0]] = True
    matrix = triangle(scipy.sparse.csr_array(mask + np.eye(60)))
    assert np.array_equal(tg.couplings.from_pairs(UNITS, matrix).mask(), mask)


def test_topologies_by_name_and_by_file(tmp_path):
    pairs = random_pairs(60, 50)
    np.savez(tmp_path / "pairs.npz", pairs=pairs)
    scipy.sparse.save_npz(tmp_path / "sparse.npz", scipy.sparse.coo_array((np.ones(50), pairs.T), (60, 60)))
    wanted = np.sort(pairs, 1)
    for name in ("pairs.npz", "sparse.npz"):
        found = np.asarray(wiring(str(tmp_path / name), UNITS, (5, 6)).pairs)
        assert {tuple(pair) for pair in found.tolist()} == {tuple(pair) for pair in wanted.tolist()}
    assert wiring("planes:1.5", UNITS, (5, 6)).count() == tg.couplings.planes(UNITS, 5, 6, 1.5).count()
    assert wiring("scattered:7", UNITS, (5, 6)).count() == tg.couplings.scattered(UNITS, 7).count()
    assert wiring("modes:3", UNITS, (5, 6)).basis.shape == (60, 3)
    assert wiring("low-rank:3", UNITS, (5, 6)).ranks == {"visible-hidden": 3, "hidden-hidden": 3}


def sparse(*entries, total=60):
    rows, columns, values = zip(*entries, strict=True)
    return scipy.sparse.coo_array((np.array(values), (rows, columns)), (total, total))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: tg.couplings.from_pairs(UNITS, np.array([[0, 60]])),
            r"name \(0, 60\), but units are 0 to 59",
        ),
        (lambda: tg.couplings.from_pairs(UNITS, np.array([[-1, 3]])), r"name \(-1, 3\)"),
        (lambda: tg.couplings.from_pairs(UNITS, np.array([[4, 4]])), "couple unit 4 to itself"),
        (lambda: tg.couplings.from_pairs(UNITS, np.array([[7, 3], [1, 2], [3, 7]])), r"hold \(3, 7\) twice"),
        (lambda: tg.couplings.from_pairs(UNITS, np.array([[0.5, 1.0]])), "no whole numbers"),
        (lambda: tg.couplings.from_pairs(UNITS, np.array([[np.nan, 1.0]])), "no whole numbers"),
        (lambda: tg.couplings.from_pairs(UNITS, np.array([1, 2])), r"shape \(2,\): give \(edges, 2\)"),
        (lambda: tg.couplings.from_pairs(UNITS, np.zeros((0, 2), int)), "couple no units"),
        (
            lambda: tg.couplings.from_pairs(UNITS, sparse((0, 1, 1.0), total=50)),
            r"shape \(50, 50\) but .* 60 units",
        ),
        (lambda: tg.couplings.from_pairs(UNITS, sparse((0, 1, np.nan))), "NaN"),
        (
            lambda: tg.couplings.from_pairs(UNITS, sparse((0, 1, 1.0), (3, 2, 1.0))),
            "units 0 and 1 on one side of the diagonal only",
        ),
        (lambda: tg.couplings.planes(UNITS, 5, 6, radius=0.5), "radius = 0.5"),
        (lambda: tg.couplings.scattered(UNITS, 60), "neighbours = 60: give 1 to 59"),
        (lambda: tg.couplings.through_modes(UNITS, 0), "modes = 0"),
        (lambda: tg.couplings.low_rank(UNITS, 31), "rank = 31: give 1 to 30"),
        (lambda: tg.couplings.low_rank(UNITS, 1, "visible-left"), "unknown link 'visible-left'"),
        (lambda: tg.couplings.low_rank(tg.Units(5), 1, "visible-hidden"), "joins a role without units"),
        (lambda: wiring("planes:far", UNITS, (5, 6)), "'planes:far': give a number after 'planes:'"),
        (lambda: wiring("modes:2.5", UNITS, (5, 6)), "give a whole number after 'modes:'"),
        (lambda: wiring("missing.npz", UNITS, (5, 6)), "file of pairs missing.npz does not exist"),
        (
            lambda: with_random_values(tg.couplings.planes(UNITS, 5, 6)).with_values(jnp.ones(3)),
            r"shape \(3,\)",
        ),
        (
            lambda: tg.published_couplings(tg.Units(65_536, 65_536)),
            "blocks of 4.3e.09 couplings, 17 GB or more",
        ),
        (lambda: tg.couplings.planes(LARGE, 200, 200).matrix(), "60,000 units would take 14 GB"),
        (lambda: tg.couplings.planes(LARGE, 200, 200).mask(), "made for up to 16,384 units"),
        (lambda: tg.couplings.through_modes(LARGE, 2).matrix(), "60,000 units would take 14 GB"),
        (
            lambda: tg.imprint_fields(np.ones((2, 65_536)), [0, 1], 65_536, imprint="projection"),
            "'projection' needs a matrix of 65,536 x 65,536",
        ),
    ],
)
def test_what_cannot_be_wired_is_named(call, message):
    with pytest.raises(tg.InputError, match=message):
        call()


def test_a_file_without_pairs_is_refused(tmp_path):
    np.savez(tmp_path / "other.npz", edges=np.zeros((1, 2)))
    (tmp_path / "broken.npz").write_bytes(b"no archive")
    for name in ("other.npz", "broken.npz"):
        with pytest.raises(tg.InputError, match="holds no pairs"):
            wiring(str(tmp_path / name), UNITS, (5, 6))


def problem(images=3, seed=0, units=UNITS):
    pictures = np.random.default_rng(seed).normal(size=(images, units.visible))
    return tg.imprint_fields(pictures, np.arange(images), units.hidden, imprint="code")


def loss(known, J, b):
    """The loss averaged over all noise but for a constant, in E0^2 x time: quadratic in J (any) and b."""
    C, U, means = known.second_moment(), known.cross_moment(), known.units
    pairs = 0.5 * np.sum((J @ C) * J) + np.sum(J * U)
    return pairs + b @ (J @ means.mean + means.drive) + 0.5 * known.process.duration * b @ b


@pytest.mark.parametrize("name", ["planes of radius 1.5", "scattered", "random", "star"])
def test_the_exact_solution_on_edges_is_that_of_the_masked_blocks(name):
    edges = WIRINGS[name][0]()
    links = ("visible-visible", "visible-hidden", "hidden-hidden")
    mask = np.asarray(edges.mask())
    full = tg.couplings.from_links(UNITS, *links)
    parts = {link: tuple(UNITS.slice(role) for role in link.split("-")) for link in links}
    blocks = tg.couplings.BlockCouplings(
        UNITS, full.blocks, {link: jnp.asarray(mask[part]) for link, part in parts.items()}
    )
    known = statistics(tg.make_computer(edges), problem(), SCHEDULE)[0]
    found, expected = (
        solve(tg.make_computer(couplings), known, visible_biases=True, tolerance=1e-9)
        for couplings in (edges, blocks)
    )
    assert np.allclose(found.computer.couplings.matrix(), expected.computer.couplings.matrix(), atol=1e-6)
    assert np.allclose(found.computer.bias, expected.computer.bias, atol=1e-6)
    # The gradient of the loss vanishes on the edges.
    J, b = np.asarray(found.computer.couplings.matrix(), float), np.asarray(found.computer.bias, float)
    half = J @ known.second_moment() + np.outer(b, known.units.mean) + known.cross_moment()
    assert np.abs(np.where(mask, half + half.T, 0)).max() < 1e-5
    assert np.abs(J @ known.units.mean + b * 2.5 + known.units.drive).max() < 1e-5


@pytest.mark.parametrize("visible_biases", [True, False])
@pytest.mark.parametrize("mobility", [1.0, np.linspace(0.5, 1.5, 60)])
def test_the_gradient_vanishes_in_the_span_of_the_modes(visible_biases, mobility):
    computer = tg.make_computer(tg.couplings.through_modes(UNITS, 5), mobility=mobility)
    known = statistics(computer, problem(), SCHEDULE)[0]
    result = solve(computer, known, visible_biases=visible_biases)
    trained = result.computer
    B, J = (np.asarray(one, float) for one in (trained.couplings.basis, trained.couplings.matrix()))
    b, means, weight = np.asarray(trained.bias, float), known.units, np.asarray(computer.mobility)
    half = (J @ known.second_moment() + np.outer(b, means.mean) + known.cross_moment()) * weight.reshape(
        -1, 1
    )
    start = known.cross_moment() * weight.reshape(-1, 1)
    scale = np.abs(B.T @ (start + start.T) @ B).max()
    assert np.abs(B.T @ (half + half.T) @ B).max() < 1e-5 * scale
    biased = np.arange(0 if visible_biases else 30, 60)
    assert np.abs(J @ means.mean + b * 2.5 + means.drive)[biased].max() < 1e-4
    assert not np.delete(b, biased).any()
    assert result.residual < 1e-6


def test_few_modes_come_close_to_all_pairs_and_more_come_closer():
    digits = tg.load_digits([0, 1, 2])
    units = tg.Units(784, 112)
    fields = tg.imprint_fields(
        digits.standardised(), digits.labels, 112, imprint="code", hidden_amplitude=5.0
    )
    full = tg.make_computer(tg.couplings.all_to_all(units))
    known = statistics(full, fields, SCHEDULE)[0]
    best = solve_all_pairs(full, known).computer
    J = np.asarray(best.couplings.matrix(), float) + np.diag(2 * np.asarray(best.J2 - full.J2, float))
    least = loss(known, J, np.asarray(best.bias, float))
    gaps = []
    for modes in (2, 4, 8):
        result = solve(tg.make_computer(tg.couplings.through_modes(units, modes)), known, visible_biases=True)
        held = result.computer
        reached = loss(known, np.asarray(held.couplings.matrix(), float), np.asarray(held.bias, float))
        gaps.append((reached - least) / -least)
    assert gaps[0] > gaps[1] > gaps[2] > 0
    assert gaps[1] < 0.01
    # Dense sums over images span the same modes as factors do.
    summed = replace(known, pairs=known.pairs.dense())
    again = solve(
        tg.make_computer(tg.couplings.through_modes(units, 8)), summed, visible_biases=True
    ).computer
    other = loss(known, np.asarray(again.couplings.matrix(), float), np.asarray(again.bias, float))
    assert abs(other - reached) < 1e-4 * -least


def test_modes_beyond_what_the_images_span_are_idle_or_left_out():
    known = statistics(tg.make_computer(tg.couplings.through_modes(UNITS, 60)), problem(2), SCHEDULE)[0]
    through, low = (
        solve(tg.make_computer(couplings), known, visible_biases=True).computer.couplings
        for couplings in (tg.couplings.through_modes(UNITS, 60), tg.couplings.low_rank(UNITS, 30))
    )
    used = np.asarray(jnp.any(through.basis != 0, 0))
    assert through.basis.shape == (60, 60)
    assert 0 < used.sum() < 60
    assert not np.asarray(through.mixing)[~used].any()
    assert 0 < low.ranks["visible-hidden"] < 30


@pytest.mark.parametrize("visible_biases", [True, False])
def test_low_rank_couplings_trained_as_such_come_close_to_those_of_full_blocks(visible_biases):
    """The blocks of the same links hold a few hundred times as many numbers, and their loss is the least."""
    digits = tg.load_digits([0, 1, 2])
    units = tg.Units(784, 128)
    fields = tg.imprint_fields(
        digits.standardised(), digits.labels, 128, imprint="code", hidden_amplitude=5.0
    )
    known = statistics(tg.make_computer(tg.published_couplings(units)), fields, SCHEDULE)[0]

    def reached(couplings):
        held = solve(tg.make_computer(couplings), known, visible_biases=visible_biases).computer
        J, b = np.asarray(held.couplings.matrix(), float), np.asarray(held.bias, float)
        assert not np.diagonal(J).any()
        return loss(known, J, b), held.couplings

    least, full = reached(tg.published_couplings(units))
    (two, _), (four, low) = (reached(tg.couplings.low_rank(units, rank)) for rank in (2, 4))
    assert least < four < two
    # J_ii, of order r / N, is left out of the trained factors: 1 % for 128 hidden units.
    assert four - least < 0.03 * -least
    assert low.count() < full.count() / 20


@pytest.mark.parametrize("topology", ["planes", "modes:3", "low-rank:2", "random"])
def test_a_large_computer_is_trained_runs_and_comes_back_from_its_folder(topology, tmp_path):
    """60,000 units: an N x N matrix of them would take 14 GB, and is refused wherever it is asked for."""
    rng = np.random.default_rng(0)
    if topology == "random":
        pairs = np.unique(np.sort(rng.integers(0, 60_000, (150_000, 2)), 1), axis=0)
        couplings = tg.couplings.from_pairs(LARGE, pairs[pairs[:, 0] != pairs[:, 1]])
    else:
        couplings = wiring(topology, LARGE, (200, 200))
    waves = np.stack([np.sin(np.arange(40_000) * step) for step in (0.01, 0.023)])
    images = waves / waves.std(1, keepdims=True)
    schedule = tg.Schedule(t_f=0.2, dt=0.02, readout=0.1)
    fields = tg.imprint_fields(images, [0, 1], 20_000, imprint="code", amplitude=2.5)
    untrained = tg.make_computer(couplings)
    known = statistics(untrained, fields, schedule)[0]
    result = solve(untrained, known, visible_biases=True, tolerance=1e-3)
    computer = result.computer
    assert result.residual <= 1e-3
    assert float(jnp.abs(computer.bias).max()) > 0.1
    assert tg.stable_dt(computer) > 0
    samples = tg.generate(jax.random.key(1), computer, 2, schedule)
    assert np.isfinite(samples.heat_kT).all()
    # The first law, sample by sample.
    change = samples.end.total - (samples.start.total - samples.work)
    assert np.allclose(change, samples.work - samples.heat, rtol=1e-4, atol=1e-2)
    folder = tg.Model(computer, schedule, (200, 200)).save_pretrained(tmp_path / "model")
    card = json.loads((folder / "card.json").read_text())
    assert card["couplers"] == computer.couplings.count()
    held = sum(leaf.size for leaf in jax.tree.leaves(computer))
    assert (folder / "model.safetensors").stat().st_size < 4 * held + 10_000
    again = tg.Model.from_pretrained(folder).computer
    for one, other in zip(jax.tree.leaves(computer), jax.tree.leaves(again), strict=True):
        assert np.array_equal(one, other)
    x = jnp.asarray(samples.x)
    assert np.array_equal(computer.force(x), again.force(x))
    assert tg.ledger.workload_of(computer, samples, schedule).drive > 0


def test_many_images_of_a_large_computer_are_refused_in_one_line():
    computer = tg.make_computer(tg.couplings.scattered(LARGE, 2))
    fields = np.random.default_rng(0).normal(size=(300, 60_000)).astype(np.float32)
    with pytest.raises(tg.InputError, match="300 images of 60000 units need dense statistics"):
        statistics(computer, fields, SCHEDULE)


def test_equilibrium_of_many_units_is_drawn_block_by_block_as_of_few():
    large = tg.make_computer(
        tg.couplings.scattered(tg.Units(5000), 2), J2=np.linspace(0.5, 1.5, 5000)
    ).uncoupled()
    x = np.asarray(tg.langevin.sample_uncoupled(jax.random.key(0), large, jnp.arange(400)), float)
    for part in (slice(0, 100), slice(4096, 4196), slice(4900, 5000)):
        few = tg.make_computer(
            tg.couplings.scattered(tg.Units(100), 2), J2=np.asarray(large.J2[part])
        ).uncoupled()
        y = np.asarray(tg.langevin.sample_uncoupled(jax.random.key(1), few, jnp.arange(400)), float)
        a, b = (x[:, part] ** 2).mean(1), (y**2).mean(1)
        error = np.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b))
        assert abs(a.mean() - b.mean()) < 4 * error
