import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thermogen as tg
from thermogen.langevin import sample_keys
from thermogen.noising import noising_start, noising_stretch
from thermogen.thermodynamics.path import gradient_of_residuals, residuals
from thermogen.training.sampled.rules import run_cycle, start_optimizer

SCHEDULE = tg.Schedule(t_f=0.5, dt=0.01)
SHORT = tg.Schedule(t_f=0.14, dt=0.01)  # 14 steps: stretches and delays that do not divide them
KEY = jax.random.key(11)
UNITS = tg.Units(visible=6, hidden=5)


def problem(hidden_field=True, units=UNITS):
    images = np.random.default_rng(0).normal(size=(2, units.visible))
    fields = tg.imprint_fields(images, [0, 1], units.hidden, output=units.output)
    if not hidden_field:
        fields = fields.at[:, units.visible :].set(0)
    return fields


@pytest.fixture
def float64():
    with jax.enable_x64(True):
        yield


def by_hand(computer, fields, rule, cycle):
    """A cycle exactly as the rule is written down: noising, then an update after every few steps."""
    n = rule.trajectories
    samples = cycle * n + jnp.arange(n)
    start_key, path_key = jax.random.split(KEY)
    control = tg.noising.RampedField(computer.uncoupled(), fields[samples % len(fields)], SHORT)
    x = noising_start(start_key, control.reference, control.field, samples)
    path = noising_stretch(sample_keys(path_key, samples), control, x, 0, SHORT.steps)
    rate = rule.rate_in(SHORT)
    trained = (
        np.ones(computer.units.total)
        if rule.visible_biases
        else np.asarray(computer.units.mask("hidden", "output"))
    )
    every = rule.updates_every or SHORT.steps
    losses = []
    for first in range(0, SHORT.steps, every):
        part = path[first : first + every + 1]
        r = residuals(computer, part, SHORT.dt)
        gradient = gradient_of_residuals(computer, r, part)
        losses.append(np.asarray(tg.thermodynamics.reverse_action(computer, part, SHORT.dt)).mean())
        J = computer.couplings.matrix() - rate / n * gradient.couplings.matrix()
        computer = tg.make_computer(
            computer.couplings.with_matrix(J),
            bias=np.asarray(computer.bias - rate / n * trained * gradient.bias),
            dtype=jnp.float64,
        )
    return computer, sum(losses) * SHORT.dt / SHORT.t_f


def mask():
    wired = np.random.default_rng(5).random((11, 11)) < 0.4
    return wired | wired.T


WIRINGS = {
    "published": lambda: tg.published_couplings(UNITS, dtype=jnp.float64),
    "all": lambda: tg.couplings.all_to_all(UNITS, dtype=jnp.float64),
    "mask": lambda: tg.couplings.from_mask(UNITS, mask(), dtype=jnp.float64),
    "planes": lambda: tg.couplings.planes(UNITS, 2, 3, dtype=jnp.float64),
    "outputs": lambda: tg.published_couplings(tg.Units(6, 5, 4), dtype=jnp.float64),
}
RULES = {
    "batch": tg.Rule(rate=0.02),
    "batch of 3": tg.Rule(rate=0.02, trajectories=3, visible_biases=True),
    "online": tg.Rule("online", rate=0.02),
    "online of 3": tg.Rule("online", rate=0.02, trajectories=3, visible_biases=True),
    "delayed by 4": tg.Rule("delayed", delay=4, rate=0.02),
    "delayed beyond the end": tg.Rule("delayed", delay=60, rate=0.02),
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("wiring", WIRINGS)
def test_a_cycle_is_the_rule_as_written_down(float64, wiring, rule):
    rule = RULES[rule]
    computer = tg.make_computer(WIRINGS[wiring](), dtype=jnp.float64)
    fields = problem(units=computer.units).astype(jnp.float64)
    expected = computer
    state = start_optimizer(rule, computer, SHORT)
    for cycle in range(2):
        expected, loss = by_hand(expected, fields, rule, cycle)
        result = run_cycle(KEY, computer, state, fields, SHORT, rule, jnp.asarray(cycle))
        computer, state = result.computer, result.optimizer_state
        assert float(result.loss) == pytest.approx(loss, rel=1e-10)
    learnt = np.asarray(computer.couplings.matrix())
    assert np.abs(learnt).max() > 0.01
    assert np.allclose(learnt, expected.couplings.matrix(), atol=1e-11)
    assert np.allclose(computer.bias, expected.bias, atol=1e-11)
    if not rule.visible_biases:
        assert not np.asarray(computer.bias[: computer.units.visible]).any()


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam", "rmsprop"])
@pytest.mark.parametrize("name", ["batch", "delayed"])
def test_an_interrupted_training_ends_bit_identical(tmp_path, optimizer, name):
    computer, fields = tg.make_computer(tg.published_couplings(UNITS)), problem()
    rule = tg.Rule(name, optimizer=optimizer, rate=0.01)
    arguments = {"cycles": 7, "validate_every": 2}
    whole = tg.train(KEY, computer, fields, SCHEDULE, rule, **arguments)
    checkpoint = tmp_path / "training.safetensors"
    for stop_at in (2, 5):

        def stop(state, stop_at=stop_at):
            if state.done == stop_at:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            tg.train(KEY, computer, fields, SCHEDULE, rule, checkpoint=checkpoint, progress=stop, **arguments)
    resumed = tg.train(KEY, computer, fields, SCHEDULE, rule, checkpoint=checkpoint, **arguments)
    assert np.array_equal(resumed.computer.couplings.matrix(), whole.computer.couplings.matrix())
    assert np.array_equal(resumed.computer.bias, whole.computer.bias)
    assert np.array_equal(resumed.loss, whole.loss)
    assert np.array_equal(resumed.validation, whole.validation)
    assert whole.validation[:, 0].tolist() == [0, 2, 4, 6, 7]
    # A finished training is handed back as it is.
    again = tg.train(KEY, computer, fields, SCHEDULE, rule, checkpoint=checkpoint, **arguments)
    assert np.array_equal(again.computer.bias, whole.computer.bias)


def test_resume_refuses_other_settings_and_damaged_checkpoints(tmp_path):
    computer, fields = tg.make_computer(tg.published_couplings(UNITS)), problem()
    checkpoint = tmp_path / "training.safetensors"
    arguments = {"cycles": 2, "checkpoint": checkpoint}
    tg.train(KEY, computer, fields, SCHEDULE, tg.Rule(rate=0.01), **arguments)
    with pytest.raises(tg.InputError, match=r"rule.rate was 0.01 and is now 0.02"):
        tg.train(KEY, computer, fields, SCHEDULE, tg.Rule(rate=0.02), **arguments)
    with pytest.raises(tg.InputError, match=r"key was \["):
        tg.train(jax.random.key(12), computer, fields, SCHEDULE, tg.Rule(rate=0.01), **arguments)
    other = tg.make_computer(tg.published_couplings(tg.Units(6, 4)))
    with pytest.raises(tg.InputError, match="belongs to another computer"):
        tg.train(KEY, other, fields[:, :10], SCHEDULE, tg.Rule(rate=0.01), **arguments)
    checkpoint.write_bytes(checkpoint.read_bytes()[:-8])
    with pytest.raises(tg.InputError, match="is damaged"):
        tg.train(KEY, computer, fields, SCHEDULE, tg.Rule(rate=0.01), **arguments)


def test_training_lowers_the_loss_on_paths_it_never_saw():
    computer, fields = tg.make_computer(tg.published_couplings(UNITS)), problem()
    schedule = tg.Schedule(t_f=2.5, dt=0.01)
    trained = tg.train(KEY, computer, fields, schedule, cycles=30).computer
    paths = jnp.arange(40)
    before, after = (
        tg.training.path_loss(jax.random.key(99), c, fields, schedule, paths) for c in (computer, trained)
    )
    change = np.asarray(after - before, float)
    assert change.mean() < -4 * change.std(ddof=1) / np.sqrt(len(change))


def test_hidden_units_that_do_not_feel_the_image_learn_nothing():
    # The first trap: with J = 0 the expected gradient of a visible-hidden coupling is then exactly zero.
    computer = tg.make_computer(tg.published_couplings(UNITS))
    scores = {}
    for imprinted in (True, False):
        fields = problem(hidden_field=imprinted)
        samples = jnp.arange(60)
        control = tg.noising.RampedField(computer.uncoupled(), fields[samples % 2], SCHEDULE)
        start_key, path_key = jax.random.split(KEY)
        x = noising_start(start_key, control.reference, control.field, samples)
        path = noising_stretch(sample_keys(path_key, samples), control, x, 0, SCHEDULE.steps)
        each = jax.vmap(
            lambda one: tg.thermodynamics.local_gradient(computer, one[:, None], SCHEDULE.dt), in_axes=1
        )(path)
        gradients = np.asarray(each.couplings.blocks["visible-hidden"], float)
        scores[imprinted] = np.abs(gradients.mean(0)) / (gradients.std(0, ddof=1) / np.sqrt(60))
    assert scores[False].max() < 4
    assert scores[True].max() > 8


def test_what_cannot_be_trained_is_refused():
    computer, fields = tg.make_computer(tg.published_couplings(UNITS)), problem()
    with pytest.raises(tg.DivergenceError, match="a stable step is dt"):
        tg.train(KEY, computer, fields, tg.Schedule(t_f=10.0, dt=1.0), cycles=2)
    with pytest.raises(tg.InputError, match=r"training diverged by cycle .* give a learning rate below"):
        tg.train(KEY, computer, fields, SCHEDULE, tg.Rule(rate=1e3), cycles=20)
    with pytest.raises(tg.InputError, match=r"fields have shape \(2, 10\) for 11 units"):
        tg.train(KEY, computer, fields[:, :10], SCHEDULE)
    with pytest.raises(tg.InputError, match="NaN"):
        tg.train(KEY, computer, fields.at[0, 0].set(jnp.nan), SCHEDULE)
    for bad, message in (
        ({"name": "often"}, "unknown training rule 'often'"),
        ({"delay": 0}, "delay = 0"),
        ({"trajectories": 0}, "trajectories = 0"),
        ({"rate": -1.0}, "learning rate = -1"),
        ({"optimizer": "lion"}, "unknown optimizer 'lion'"),
    ):
        with pytest.raises(tg.InputError, match=message):
            tg.Rule(**bad)
    for bad, message in (
        ({"dt": -1.0}, "dt = -1"),
        ({"dt": 0.0}, "dt = 0"),
        ({"dt": float("nan")}, "dt = nan"),
        ({"t_f": 1.0, "dt": 0.3}, "does not divide"),
        ({"ramp_fraction": 0.0}, "ramp_fraction = 0"),
    ):
        with pytest.raises(tg.InputError, match=message):
            tg.Schedule(**bad)


def test_imprints_by_hand():
    images = np.array([[1.0, -1.0, 2.0], [0.0, 3.0, -3.0]])
    tiled = tg.imprint_fields(images, [0, 1], 5)
    assert np.allclose(tiled[0], 2 * np.array([1, -1, 2, 1, -1, 2, 1, -1]))
    grouped = np.asarray(tg.imprint_fields(images, [4, 9], 4, imprint="groups", hidden_amplitude=6.0))[:, 3:]
    assert np.allclose(grouped, [[6, 6, -6, -6], [-6, -6, 6, 6]])
    # Two labels over two hidden units per sign of the difference of the first two Walsh functions.
    coded = np.asarray(tg.imprint_fields(images, [4, 9], 4, imprint="code", hidden_amplitude=6.0))[:, 3:]
    assert np.allclose(coded, [[0, -6, 6, 0], [0, 6, -6, 0]])
    for classes, hidden in ((3, 512), (10, 100), (5, 9)):
        labels = np.arange(2 * classes) % classes
        force = np.asarray(
            tg.imprint_fields(np.resize(images, (2 * classes, 3)), labels, hidden, imprint="code")
        )[:, 3:]
        assert np.array_equal(force[:classes], force[classes:])
        assert np.sqrt((force**2).mean()) == pytest.approx(6 / np.sqrt(2), rel=1e-5)
        gram = force[:classes].astype(float) @ force[:classes].T.astype(float)
        simplex = np.eye(classes) - 1 / classes
        assert np.allclose(gram, simplex * np.trace(gram) / (classes - 1), atol=1e-3 * np.trace(gram))
    projected = [
        np.asarray(tg.imprint_fields(images, [0, 1], 400, imprint="projection", key=jax.random.key(k)))
        for k in (1, 1, 2)
    ]
    assert np.array_equal(projected[0], projected[1])
    assert not np.array_equal(projected[0], projected[2])
    # Entries of P are N(0, 1 / pixels): the hidden field of image s has variance A^2 |s|^2 / pixels.
    assert projected[0][0, 3:].std() == pytest.approx(2 * np.linalg.norm(images[0]) / np.sqrt(3), rel=0.15)
    ramp = tg.Schedule().ramp(jnp.array([0.0, 0.9375, 1.875, 2.5]))
    assert np.allclose(ramp, [1, 0.5, 0, 0])
    with pytest.raises(tg.InputError, match="unknown imprint 'stamp'"):
        tg.imprint_fields(images, [0, 1], 4, imprint="stamp")
    with pytest.raises(tg.InputError, match="at least two labels"):
        tg.imprint_fields(images, [3, 3], 4, imprint="code")
    with pytest.raises(tg.InputError, match="more hidden units than labels: 2 for 2 labels"):
        tg.imprint_fields(images, [3, 4], 2, imprint="code")
