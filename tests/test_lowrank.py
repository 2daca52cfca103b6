import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thermogen as tg
from thermogen.couplings import as_pairs, checked_factors

UNITS = tg.Units(visible=14, hidden=10, output=3)
RANKS = {"visible-hidden": 3, "hidden-hidden": 4, "hidden-output": 1}
EPS = float(np.finfo(np.float32).eps)


def planted(units=UNITS, ranks=RANKS, seed=0):
    """Low-rank couplings with random factors; within a role modes of either sign."""
    rng = np.random.default_rng(seed)
    left, right = {}, {}
    for link, rank in ranks.items():
        a, b = (getattr(units, role) for role in link.split("-"))
        right[link] = rng.normal(size=(b, rank)).astype(np.float32)
        if len(set(link.split("-"))) == 1:
            left[link] = right[link] * rng.choice([-1.5, 0.7, 2.0], rank).astype(np.float32)
        else:
            left[link] = rng.normal(size=(a, rank)).astype(np.float32)
    return checked_factors(units, left, right)


def dense(couplings):
    """The matrix by the definition, in float64, from the factors alone."""
    units = couplings.units
    J = np.zeros((units.total, units.total))
    for link, left in couplings.left.items():
        a, b = (units.slice(role) for role in link.split("-"))
        block = np.asarray(left, float) @ np.asarray(couplings.right[link], float).T
        if a == b:
            block = block - np.diag(np.diagonal(block))
        J[a, b], J[b, a] = block, block.T
    return J


def blocks(matrix, units=UNITS, links=tuple(RANKS)):
    return tg.couplings.from_links(units, *links).with_matrix(jnp.asarray(matrix, jnp.float32))


def random_couplings(units=UNITS, seed=3, links=tuple(RANKS), decay=0.5):
    """Full blocks with a decaying spectrum of either sign, so that every tolerance wants another rank."""
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.normal(size=(units.total, units.total)))[0]
    size = decay ** np.arange(units.total) * rng.choice([-1, 1], units.total)
    return blocks((basis * size) @ basis.T, units, links)


def moment(total=UNITS.total, seed=5, spread=2.0):
    """A random positive second moment whose standard deviations range over a factor e^(4 spread) or so."""
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.normal(size=(total, total)))[0]
    return (basis * np.exp(spread * rng.normal(size=total))) @ basis.T


def force_error(full, low, C):
    J, D = np.asarray(full.matrix(), float), np.asarray(full.matrix(), float) - dense(low)
    return np.sqrt(np.trace(D @ C @ D) / np.trace(J @ C @ J))


@pytest.mark.parametrize("ranks", [RANKS, {"visible-visible": 2, "visible-hidden": 0}, {"hidden-hidden": 0}])
def test_low_rank_couplings_are_their_dense_matrix(ranks):
    low = planted(ranks=ranks)
    J = dense(low)
    scale = np.abs(J).sum(1).max() + 1
    held = np.asarray(low.matrix())
    assert np.array_equal(held, held.T)
    assert not np.diagonal(held).any()
    assert np.abs(held - J).max() <= 4 * EPS * scale
    joined = np.zeros(J.shape, bool)
    for link in ranks:
        a, b = (UNITS.slice(role) for role in link.split("-"))
        joined[a, b] = joined[b, a] = True
    np.fill_diagonal(joined, False)
    assert not held[~joined].any()
    assert low.count_full() == np.triu(joined).sum()
    x = jax.random.normal(jax.random.key(0), (2, 3, UNITS.total))
    y = np.asarray(x, float)
    for form in (low, low.prepared()):
        assert np.abs(np.asarray(form.apply(x)) - y @ J).max() <= 20 * EPS * scale
        assert np.abs(np.asarray(form.matrix()) - J).max() <= 8 * EPS * scale
        pairs = sum(J[i, j] * y[..., i] * y[..., j] for i in range(UNITS.total) for j in range(i))
        assert np.abs(np.asarray(form.energy(x)) - pairs).max() <= 20 * EPS * scale * UNITS.total
    assert low.prepared().count() == np.triu(np.asarray(low.prepared().matrix()) != 0, 1).sum()


def test_couplers_are_counted_by_hand():
    # 3 modes joined to 14 + 10 units, 4 to 10, 1 to 10 + 3; in full 14 x 10 + 10 x 9 / 2 + 10 x 3 pairs.
    assert planted().count() == 3 * 24 + 4 * 10 + 1 * 13
    assert planted().count_full() == 140 + 45 + 30


def test_energy_parts_of_a_low_rank_computer_are_those_of_the_blocks():
    low = planted()
    x = jax.random.normal(jax.random.key(1), (5, UNITS.total))
    one, other = (tg.make_computer(c, bias=0.3).energy_parts(x) for c in (low, blocks(dense(low))))
    assert np.array_equal(one.on_site, other.on_site)
    assert np.allclose(one.coupling, other.coupling, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("weighted", [False, True])
def test_planted_factors_are_found_again(weighted):
    units = tg.Units(visible=60, hidden=40, output=8)
    low = planted(units, seed=2)
    C = moment(units.total, spread=1.0) if weighted else None
    found = tg.couplings.compress(blocks(dense(low), units), C, 1e-5)
    assert found.ranks == RANKS == found.couplings.ranks
    J = dense(low)
    assert np.linalg.norm(dense(found.couplings) - J) <= 1e-6 * np.linalg.norm(J)
    assert found.force_error <= 1e-6
    assert (found.couplers, found.couplers_full) == (low.count(), low.count_full())


@pytest.mark.parametrize("tolerance", [0.3, 0.03, 1e-3, 1e-5])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_force_error_is_as_stated_and_within_tolerance(tolerance, weighted):
    full = random_couplings()
    C = moment() if weighted else None
    found = tg.couplings.compress(full, C, tolerance)
    measured = force_error(full, found.couplings, np.eye(UNITS.total) if C is None else C)
    assert measured <= tolerance
    assert np.isclose(found.force_error, measured, rtol=1e-5, atol=1e-8)
    assert found.couplers == found.couplings.count()


def test_the_force_error_is_the_one_met_on_states():
    full, C = random_couplings(), moment(spread=1.0)
    found = tg.couplings.compress(full, C, 0.1)
    x = np.random.default_rng(0).multivariate_normal(np.zeros(UNITS.total), C, 100_000)
    x = jnp.asarray(x, jnp.float32)
    force, rest = (
        np.sum(np.asarray(f) ** 2, 1) for f in (full.apply(x), full.apply(x) - found.couplings.apply(x))
    )
    ratio = rest.mean() / force.mean()
    # Standard error of a ratio of two means of the same samples.
    sem = np.std(rest - ratio * force, ddof=1) / force.mean() / np.sqrt(len(x))
    assert abs(ratio - found.force_error**2) < 4 * sem


def plain_rank(block, a, b, tolerance):
    """Smallest rank of the truncated decomposition of a block whose force error is within tolerance."""
    U, s, V = np.linalg.svd(block)
    whole = np.trace(block.T @ a @ block) + np.trace(block @ b @ block.T)
    for rank in range(len(s) + 1):
        D = block - (U[:, :rank] * s[:rank]) @ V[:rank]
        if np.trace(D.T @ a @ D) + np.trace(D @ b @ D.T) <= tolerance**2 * whole:
            return rank
    raise AssertionError


def test_weighing_by_the_states_needs_no_higher_rank_and_often_a_lower_one():
    units = tg.Units(visible=16, hidden=12)
    a, b = units.slice("visible"), units.slice("hidden")
    saved = 0
    for seed in range(4):
        full = random_couplings(units, seed, ("visible-hidden",), decay=0.8)
        C = moment(units.total, seed + 10)
        block = np.asarray(full.blocks["visible-hidden"], float)
        for tolerance in (0.3, 0.1, 0.02):
            rank = tg.couplings.compress(full, C, tolerance).ranks["visible-hidden"]
            plain = plain_rank(block, C[a, a], C[b, b], tolerance)
            assert rank <= plain
            saved += plain - rank
    assert saved >= 6


def test_without_a_second_moment_one_block_gets_its_truncated_decomposition():
    units = tg.Units(visible=16, hidden=12)
    full = random_couplings(units, 1, ("visible-hidden",), decay=0.8)
    size = np.linalg.svd(np.asarray(full.blocks["visible-hidden"], float), compute_uv=False)
    for tolerance in (0.3, 0.1):
        found = tg.couplings.compress(full, None, tolerance)
        least = np.sqrt((size[found.ranks["visible-hidden"] :] ** 2).sum() / (size**2).sum())
        assert np.isclose(found.force_error, least, rtol=1e-5)
        assert found.ranks["visible-hidden"] == plain_rank(
            np.asarray(full.blocks["visible-hidden"], float), np.eye(16), np.eye(12), tolerance
        )


def test_a_mode_less_on_any_link_breaks_the_tolerance():
    # In the eigenbasis of C = 1 the best fits are known for the blocks between roles.
    units = tg.Units(visible=12, hidden=9, output=7)
    full = random_couplings(units, 4, ("visible-hidden", "visible-output"), decay=0.7)
    found = tg.couplings.compress(full, None, 0.05)
    size = {
        link: np.linalg.svd(np.asarray(b, float), compute_uv=False) ** 2 for link, b in full.blocks.items()
    }
    whole = sum(s.sum() for s in size.values())
    for link, rank in found.ranks.items():
        lost = sum(s[found.ranks[other] - (other == link) :].sum() for other, s in size.items())
        assert rank > 0
        assert lost > 0.05**2 * whole


def test_a_link_without_couplings_gets_no_mode():
    low = planted(ranks={"visible-hidden": 2, "hidden-hidden": 0})
    found = tg.couplings.compress(
        blocks(dense(low), links=("visible-hidden", "hidden-hidden")), moment(), 1e-5
    )
    assert found.ranks == {"visible-hidden": 2, "hidden-hidden": 0}
    assert found.couplings.count_full() == 14 * 10 + 10 * 9 // 2


def test_a_second_moment_may_be_singular():
    full = random_couplings()
    x = np.random.default_rng(2).normal(size=(4, UNITS.total))
    found = tg.couplings.compress(full, x.T @ x, 1e-3)
    assert force_error(full, found.couplings, x.T @ x) <= 1e-3


def test_the_trajectory_is_that_of_the_dense_blocks():
    low = planted()
    low = checked_factors(UNITS, {k: 0.3 * v for k, v in low.left.items()}, low.right)
    x = jax.random.normal(jax.random.key(3), (20, UNITS.total))
    final = []
    for couplings in (low, blocks(dense(low))):
        computer = tg.make_computer(couplings)
        run = tg.simulate(
            jax.random.key(4), computer, x, steps=300, dt=1e-3, observers={"heat": tg.langevin.HeatAndWork()}
        )
        final.append((np.asarray(run.final), computer))
    assert np.abs(final[0][0] - final[1][0]).max() <= 1e-5
    assert not np.allclose(final[0][0], x, atol=0.1)  # the states went somewhere
    # The noise alone would not do: the couplings matter on this path.
    free = tg.simulate(jax.random.key(4), final[0][1].uncoupled(), x, steps=300, dt=1e-3).final
    assert np.abs(final[0][0] - np.asarray(free)).max() > 0.1


def saved(folder, couplings=None):
    units = UNITS
    computer = tg.make_computer(planted() if couplings is None else couplings, bias=np.arange(27.0))
    return tg.Model(computer, tg.Schedule(t_f=1.0, dt=0.01), (2, units.visible // 2)).save_pretrained(folder)


def test_a_model_folder_keeps_the_factors_bit_for_bit(tmp_path):
    for name, couplings in (
        ("a", planted()),
        ("b", planted(ranks={"visible-hidden": 2, "hidden-hidden": 0})),
    ):
        folder = saved(tmp_path / name, couplings)
        loaded = tg.Model.from_pretrained(folder).computer
        held = loaded.couplings
        assert isinstance(held, tg.couplings.LowRankCouplings)
        assert held.ranks == couplings.ranks
        for link in couplings.left:
            assert np.array_equal(held.left[link], couplings.left[link])
            assert np.array_equal(held.right[link], couplings.right[link])
        card = json.loads((folder / "card.json").read_text())
        assert card["couplings"] == "low-rank"
        assert card["couplers"] == couplings.count()
        assert card["couplers_full"] == couplings.count_full()


def test_the_card_of_full_couplings_counts_every_pair_as_a_coupler(tmp_path):
    for name, couplings in (
        ("blocks", tg.published_couplings(UNITS)),
        ("edges", tg.couplings.planes(UNITS, 2, 7)),
    ):
        card = json.loads((saved(tmp_path / name, couplings) / "card.json").read_text())
        assert card["couplers"] == card["couplers_full"] == np.triu(couplings.mask()).sum()


def test_compressed_couplings_survive_the_model_folder(tmp_path):
    found = tg.couplings.compress(random_couplings(), moment(), 1e-3).couplings
    loaded = tg.Model.from_pretrained(saved(tmp_path / "m", found)).computer.couplings
    assert np.array_equal(loaded.matrix(), found.matrix())


def with_factors(change):
    low = planted()
    left, right = dict(low.left), dict(low.right)
    change(left, right)
    return tg.couplings.LowRankCouplings(UNITS, left, right)


def put(side, link, value):
    side[link] = jnp.asarray(value, jnp.float32)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda left, right: put(left, "visible-hidden", np.ones((14, 2))),
            r"visible-hidden have shapes \(14, 2\) and \(10, 3\)",
        ),
        (
            lambda left, right: put(right, "visible-hidden", np.ones((14, 3))),
            r"give \(14, r\) and \(10, r\)",
        ),
        (lambda left, right: put(left, "visible-hidden", np.full((14, 3), np.nan)), "hold NaN"),
        (lambda left, right: put(right, "hidden-output", np.full((3, 1), np.inf)), "hold NaN or infinite"),
        (lambda left, right: put(left, "hidden-hidden", np.eye(10)[:, :4]), "are not symmetric"),
        (lambda left, right: right.pop("hidden-output"), "factors of .* hidden-output come without"),
        (lambda left, right: (left.clear(), right.clear()), "hold no link"),
    ],
)
def test_unsound_factors_are_not_loaded_even_with_valid_checksums(tmp_path, change, message):
    folder = saved(tmp_path / "m", with_factors(change))
    with pytest.raises(tg.InputError, match=message):
        tg.Model.from_pretrained(folder)


def not_positive():
    C = np.eye(UNITS.total)
    C[0, 1] = C[1, 0] = 2
    return C


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: tg.couplings.compress(random_couplings(), None, 0.0),
            "tolerance = 0.0: give a number between 0 and 1",
        ),
        (lambda: tg.couplings.compress(random_couplings(), None, 1.0), "tolerance = 1.0"),
        (lambda: tg.couplings.compress(random_couplings(), None, float("nan")), "tolerance = nan"),
        (
            lambda: tg.couplings.compress(random_couplings(decay=1.0), None, 1e-9),
            "tolerance = 1e-09 is finer than factors of this precision hold: give .e-0[78]",
        ),
        (lambda: tg.couplings.compress(tg.published_couplings(UNITS), None, 0.1), "exert no force"),
        (
            lambda: tg.couplings.compress(tg.couplings.planes(UNITS, 2, 7), None, 0.1),
            "type EdgeCouplings cannot be compressed: give full blocks",
        ),
        (lambda: tg.couplings.compress(planted(), None, 0.1), "type LowRankCouplings cannot be compressed"),
        (
            lambda: tg.couplings.compress(tg.couplings.from_mask(UNITS, dense(planted()) > 0.5), None, 0.1),
            "link hidden-hidden, hidden-output, visible-hidden is only partly wired",
        ),
        (
            lambda: tg.couplings.compress(random_couplings(), np.eye(5), 0.1),
            r"shape \(5, 5\) but the computer has 27",
        ),
        (
            lambda: tg.couplings.compress(random_couplings(), np.full((27, 27), np.nan), 0.1),
            "second moment holds NaN",
        ),
        (
            lambda: tg.couplings.compress(random_couplings(), np.tri(27), 0.1),
            "second moment is not symmetric",
        ),
        (
            lambda: tg.couplings.compress(random_couplings(), not_positive(), 0.1),
            "has the negative eigenvalue -1",
        ),
        (
            lambda: tg.couplings.compress(blocks(np.full((27, 27), np.inf)), None, 0.1),
            "hold NaN or infinite values",
        ),
        (
            lambda: checked_factors(UNITS, {"hidden-hidden": np.ones(10)}, {"hidden-hidden": np.ones(10)}),
            r"low-rank factors of hidden-hidden have shapes \(10,\) and \(10,\): give \(10, r\)",
        ),
        (
            lambda: checked_factors(UNITS, {"up-down": np.ones((4, 1))}, {"up-down": np.ones((4, 1))}),
            "unknown link 'up-down': choose among visible-visible, visible-hidden",
        ),
        (
            lambda: as_pairs(planted()),
            "trained pair by pair: train full couplings .* compress",
        ),
        (lambda: as_pairs(planted().prepared()), "PreparedLowRank cannot be set or trained pair by pair"),
    ],
)
def test_bad_values_are_named(call, message):
    with pytest.raises(tg.InputError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("how", ["batch", "online"])
def test_training_low_rank_couplings_names_the_remedy(how):
    computer = tg.make_computer(planted())
    schedule = tg.Schedule(t_f=0.1, dt=0.01)
    force = tg.imprint_fields(np.random.default_rng(0).normal(size=(2, 14)), [0, 1], 10, output=3)
    start = (jax.random.key(0), computer, force, schedule)
    call = {
        "batch": lambda: tg.train(*start, cycles=1, validation_paths=0),
        "online": lambda: tg.train(*start, tg.Rule("online"), cycles=1, validation_paths=0),
    }[how]
    with pytest.raises(tg.InputError, match=r"LowRankCouplings .* full couplings .* compress") as caught:
        call()
    assert "\n" not in str(caught.value)


def test_idle_modes_change_nothing_but_the_number_of_couplers():
    couplings = planted()
    ranks = {link: rank + 2 for link, rank in couplings.ranks.items()}
    wider = couplings.padded(ranks)
    assert wider.ranks == ranks
    assert np.allclose(wider.matrix(), couplings.matrix(), rtol=0, atol=2e-6)
    assert wider.count() > couplings.count()
