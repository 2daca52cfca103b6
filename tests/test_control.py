import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thermogen as tg
from thermogen.langevin import sample_keys
from thermogen.noising import noising_start, noising_stretch
from thermogen.training import solve, statistics

UNITS = tg.Units(visible=5, hidden=4)
SCHEDULE = tg.Schedule(t_f=1.0, dt=0.01)


def computer(seed, scale=1.0, dtype=jnp.float32):
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(9, 9)) * scale
    couplings = tg.published_couplings(UNITS).with_matrix(jnp.asarray(matrix + matrix.T, jnp.float32))
    return tg.make_computer(couplings, bias=rng.normal(size=9) * scale, dtype=dtype)


def segments(count=4):
    return tg.Segments.from_computers([computer(seed) for seed in range(count)], 1.0)


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))


def test_at_is_the_computer_of_the_segment_and_a_boundary_opens_the_later_one():
    control = segments()
    for t, number in ((0.0, 0), (0.2499, 0), (0.25, 1), (0.51, 2), (0.75, 3), (1.0, 3)):
        assert same(control.at(t), computer(number)), t
    steps = jnp.arange(100)
    numbers = jax.jit(jax.vmap(lambda k: control.number_at(k * jnp.float32(0.01))))(steps)
    assert np.array_equal(numbers, np.repeat(np.arange(4), 25))
    assert [same(one, computer(k)) for k, one in enumerate(control.computers())] == [True] * 4
    prepared = control.prepared().at(0.3)
    x = jnp.linspace(-1, 1, 9)[None]
    assert np.allclose(prepared.force(x), computer(1).force(x), atol=1e-6)


def test_equal_segments_are_a_constant_computer():
    constant = computer(3)
    control = tg.Segments.from_computers([constant] * 4, 1.0)
    a, b = (tg.generate(jax.random.key(0), one, 7, SCHEDULE) for one in (constant, control))
    assert np.array_equal(a.x, b.x)
    assert np.allclose(a.heat, b.heat, atol=1e-4)
    assert np.allclose(a.work, b.work, atol=1e-4)
    assert np.abs(b.switching).max() < 1e-5
    assert np.array_equal(a.switching, np.zeros(7))
    x0 = jnp.asarray(np.random.default_rng(0).normal(size=(3, 9)), jnp.float32)
    ends = [tg.simulate(jax.random.key(1), one, x0, steps=100, dt=0.01).final for one in (constant, control)]
    assert np.allclose(*ends, atol=1e-5)


def test_heat_and_work_are_those_of_the_path_and_the_first_law_closes():
    control = segments()
    with jax.enable_x64(True):
        exact = tg.Segments.from_computers([computer(k, dtype=jnp.float64) for k in range(4)], 1.0)
        samples = tg.generate(jax.random.key(0), exact, 6, SCHEDULE)
        idle = control.uncoupled()
        # The same run by the simulator, which adds up heat and work at every step.
        start_key, path_key = jax.random.split(jax.random.key(0))
        x0 = tg.langevin.sample_uncoupled(start_key, exact.uncoupled(), jnp.arange(6))
        run = tg.simulate(
            path_key, exact, x0, steps=100, dt=0.01, observers={"law": tg.langevin.HeatAndWork()}
        )
        assert np.allclose(run.final, samples.x, rtol=0, atol=1e-12)
        law = {name: np.asarray(values[-1]) for name, values in run.records["law"].items()}
        before = np.asarray(exact.at(0.0).energy(x0) - exact.uncoupled().energy(x0))
        after = np.asarray(exact.computers()[-1].energy(jnp.asarray(samples.x)))
        rest = np.asarray(exact.uncoupled().energy(x0))
    assert np.abs(samples.switching).min() > 1e-3
    assert np.allclose(samples.heat, law["heat"], rtol=0, atol=1e-10)
    assert np.allclose(samples.switching, law["work"], rtol=0, atol=1e-10)
    assert np.allclose(samples.work, before + samples.switching, rtol=0, atol=1e-12)
    assert np.allclose(after - rest, samples.work - samples.heat, rtol=0, atol=1e-12)
    assert idle.couplings.count() == 0


def test_the_readout_is_the_mean_over_the_last_states():
    schedule = tg.Schedule(t_f=1.0, dt=0.01, readout=0.2)
    for control in (computer(0), segments()):
        samples = tg.generate(jax.random.key(2), control, 5, schedule)
        instant = tg.generate(jax.random.key(2), control, 5, SCHEDULE)
        assert np.array_equal(samples.x, instant.x)
        assert np.array_equal(instant.visible, instant.x[:, :5])
        start_key, path_key = jax.random.split(jax.random.key(2))
        x0 = tg.langevin.sample_uncoupled(start_key, control.uncoupled(), jnp.arange(5))
        film = tg.simulate(
            path_key, control, x0, steps=100, dt=0.01, observers={"film": tg.langevin.Snapshots()}, every=1
        ).records["film"]
        assert np.allclose(samples.visible, np.asarray(film)[-20:, :, :5].mean(0), atol=1e-5)


def test_path_loss_takes_the_segment_that_undoes_each_step():
    control, fields = segments(2), tg.imprint_fields(np.random.default_rng(0).normal(size=(2, 5)), [0, 1], 4)
    samples = jnp.arange(3)
    found = tg.training.path_loss(jax.random.key(1), control, fields, SCHEDULE, samples)
    start_key, path_key = jax.random.split(jax.random.key(1))
    ramped = tg.noising.RampedField(control.uncoupled(), fields[samples % 2], SCHEDULE)
    start = noising_start(start_key, ramped.reference, ramped.field, samples)
    path = np.asarray(noising_stretch(sample_keys(path_key, samples), ramped, start, 0, 100), float)
    early, late = control.computers()
    total = np.zeros(3)
    for k in range(100):
        one = late if k < 50 else early  # the first half of noising is undone last
        slope = np.asarray(one.gradient(jnp.asarray(path[k + 1], jnp.float32)), float)
        total += np.sum((path[k] - path[k + 1] + slope * 0.01) ** 2, -1) / (4 * 0.1 * 0.01)
    assert np.allclose(found, total * 0.01, rtol=1e-5)


def test_a_sample_depends_on_its_number_and_label_alone(tmp_path):
    control = tg.PerClass.from_controls({7: segments(), 3: computer(9)})
    labels = np.array([3, 7, 7, 3, 7])
    samples = tg.generate(jax.random.key(0), control, 5, SCHEDULE, labels=labels)
    assert np.array_equal(samples.labels, labels)
    for label in (3, 7):
        alone = tg.generate(jax.random.key(0), control.choose(label), 5, SCHEDULE)
        mine = labels == label
        assert np.array_equal(samples.x[mine], alone.x[mine])
        assert np.array_equal(samples.heat[mine], alone.heat[mine])
    assert np.array_equal(samples.film[-1], samples.x[:, :5])
    turns = tg.generate(jax.random.key(0), control, 5, SCHEDULE, batch=2, checkpoint=tmp_path)
    assert turns.labels.tolist() == [7, 3, 7, 3, 7]
    assert len(list(tmp_path.iterdir())) == 3
    next(tmp_path.glob("samples-3-*")).unlink()
    again = tg.generate(jax.random.key(0), control, 5, SCHEDULE, batch=2, checkpoint=tmp_path)
    assert np.array_equal(again.x, turns.x)
    assert np.array_equal(again.heat, turns.heat)


def test_controls_travel_in_model_folders(tmp_path):
    for name, control in (
        ("segments", segments()),
        ("labels", tg.PerClass.from_controls({4: segments(), 2: segments()})),
        ("plain labels", tg.PerClass.from_controls({4: computer(1), 2: computer(2)})),
    ):
        folder = tg.Model(control, SCHEDULE, (1, 5)).save_pretrained(tmp_path / name)
        again = tg.Model.from_pretrained(folder).computer
        assert type(again) is type(control)
        assert same(again, control)
        assert again.couplers() == 26
    assert again.labels == (4, 2)


def test_segments_and_labels_are_trained_apart():
    images = np.random.default_rng(1).normal(size=(6, 5))
    labels = np.array([0, 1, 2, 0, 1, 2])
    plain = tg.make_computer(tg.published_couplings(UNITS))
    fields = tg.imprint_fields(images, labels, 4)
    result = tg.train_exact(jax.random.key(0), plain, fields, SCHEDULE, labels=labels, segments=2)
    control = result.computer
    assert control.labels == (0, 1, 2)
    known = statistics(plain, fields[jnp.array([1, 4])], SCHEDULE, segments=2)
    # The first segment of generation undoes the last one of noising.
    for part, one in zip(control.choose(1).computers(), reversed(known), strict=True):
        assert np.allclose(part.couplings.matrix(), solve(plain, one).computer.couplings.matrix(), atol=1e-5)
    whole = tg.train_exact(jax.random.key(0), plain, fields, SCHEDULE).computer
    halves = tg.train_exact(jax.random.key(0), plain, fields, SCHEDULE, segments=2).computer
    paths = jnp.arange(200)
    difference = np.asarray(
        tg.training.path_loss(jax.random.key(5), halves, fields, SCHEDULE, paths)
    ) - np.asarray(tg.training.path_loss(jax.random.key(5), whole, fields, SCHEDULE, paths))
    assert difference.mean() < -4 * difference.std(ddof=1) / np.sqrt(200)


def test_controls_that_cannot_be_are_refused():
    other = tg.make_computer(tg.couplings.all_to_all(UNITS))
    hotter = tg.make_computer(tg.published_couplings(UNITS), kT=0.3)
    control = tg.PerClass.from_controls({7: computer(0), 3: computer(9)})
    with pytest.raises(tg.InputError, match="no segment given"):
        tg.Segments.from_computers([], 1.0)
    with pytest.raises(tg.InputError, match="segment 1 has another topology"):
        tg.Segments.from_computers([computer(0), other], 1.0)
    with pytest.raises(tg.InputError, match="segment 1 has another kT"):
        tg.Segments.from_computers([computer(0), hotter], 1.0)
    with pytest.raises(tg.InputError, match="no condition given"):
        tg.PerClass.from_controls({})
    with pytest.raises(tg.InputError, match="label 5 was not trained: choose among 7, 3"):
        tg.generate(jax.random.key(0), control, 2, SCHEDULE, labels=[7, 5])
    with pytest.raises(tg.InputError, match="one for each of 3 samples"):
        tg.generate(jax.random.key(0), control, 3, SCHEDULE, labels=[7])
    with pytest.raises(tg.InputError, match="do not depend on a label"):
        tg.generate(jax.random.key(0), computer(0), 1, SCHEDULE, labels=[7])
    with pytest.raises(tg.InputError, match="3 segments do not divide the 100 steps"):
        tg.generate(jax.random.key(0), segments(3), 1, SCHEDULE)


def test_classes_of_different_units_are_not_saved(tmp_path):
    units = tg.Units(2)
    soft, stiff = (tg.make_computer(tg.couplings.all_to_all(units), J2=J2) for J2 in (1.0, 2.0))
    model = tg.Model(tg.PerClass.from_controls({0: soft, 1: stiff}), tg.Schedule(), (1, 2))
    with pytest.raises(tg.InputError, match="computer 1 has another J2 than computer 0: use one for all"):
        model.save_pretrained(tmp_path / "m")
    assert not list(tmp_path.iterdir())
