# %% [markdown]
# # The noising path and its reverse
#
# Training finds the couplings that most probably reverse the noising of images. This notebook follows a digit
# into noise, states the probability of the path and of its reverse, and checks four exact statements about
# them.

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import thermogen as tg
from thermogen.langevin import sample_keys
from thermogen.noising import noising_start, noising_stretch
from thermogen.report.films import plate
from thermogen.thermodynamics import log_partition

plt.rcParams.update(
    {"axes.spines.top": False, "axes.spines.right": False, "figure.constrained_layout.use": True}
)

# %% [markdown]
# ## An image as a ramped force
#
# An image $s$ (zero mean, unit variance) is imprinted on uncoupled units as a force $f_i = A s_i$ with
# $A = 2$. A ramp then reduces the force to zero:
#
# $$V_0(x, t) = \sum_i (J_2 x_i^2 + J_4 x_i^4) - a(t) \sum_i f_i x_i , \qquad
# a(t) = \max\left(0, 1 - \frac{t}{0.75\,t_f}\right).$$
#
# `tg.noising.RampedField` is this control, `tg.Schedule` holds its times, and `tg.imprint_fields` gives the
# force of each image.

# %%
digits = tg.load_digits([0, 1, 2])
schedule = tg.Schedule(dt=5e-3)
idle = tg.make_computer(tg.couplings.NoCouplings(tg.Units(visible=784)))
force = tg.imprint_fields(digits.standardised(), digits.labels, hidden=0)
control = tg.noising.RampedField(idle, force, schedule)

samples = jnp.arange(3)
start = noising_start(jax.random.key(0), idle, force, samples)  # exact equilibrium under the full force
path = noising_stretch(sample_keys(jax.random.key(1), samples), control, start, 0, schedule.steps)
print("states of the path (steps + 1, images, units):", path.shape)

shown = np.linspace(0, schedule.steps, 10).astype(int)
film = np.asarray(path[shown]).transpose(1, 0, 2)  # (images, times, units)
levels = np.round(255 * np.clip((film + 1.2) / 2.4, 0, 1)).astype(np.uint8)  # one scale at all times
figure, axis = plt.subplots(figsize=(8, 2.7))
axis.imshow(plate(levels.reshape(-1, 784), (28, 28), 10, scale=2), cmap="gray", vmin=0, vmax=255)
axis.set(xticks=30 + 60 * np.arange(10), yticks=[], xlabel=r"$t$ / $(\mu E_0)^{-1}$, left to right")
axis.set_xticklabels([f"{k * schedule.dt:.2f}" for k in shown])
for spine in axis.spines.values():
    spine.set_visible(False)
plt.show()

# %% [markdown]
# The correlation of the state with the image falls from 0.9 to 0.1, close to the chance level
# $1/\sqrt{784} = 0.036$. In the last quarter no force acts, and the units relax in their own wells. A longer
# quarter would also remove the small remaining correlation.

# %%
t = np.arange(schedule.steps + 1) * schedule.dt
image = digits.standardised()
state = np.asarray(path, float)
state = (state - state.mean(-1, keepdims=True)) / state.std(-1, keepdims=True)
correlation = (state * image).mean(-1)
figure, axis = plt.subplots(figsize=(6, 2.6))
axis.plot(t, correlation, label=[f"digit {label}" for label in digits.labels])
axis.plot(t, schedule.ramp(t), "k:", label="$a(t)$")
axis.set(xlabel=r"$t$ / $(\mu E_0)^{-1}$", ylabel="correlation with the image")
axis.legend(frameon=False)
plt.show()
assert (correlation[0] > 0.85).all()
assert (np.abs(correlation[-1]) < 0.2).all()

# %% [markdown]
# ## The probability of a path
#
# A step $x \to x' = x + \Delta x$ is Gaussian (Onsager and Machlup). Its probabilities under the noising
# process and, reversed, under a computer with couplings $\theta$ are
#
# $$-\ln P_0 = \sum_i \frac{(\Delta x_i + \mu\,\partial_i V_0\,\Delta t)^2}{4\mu kT\,\Delta t} + c , \qquad
# -\ln \tilde P_\theta =
# \sum_i \frac{(-\Delta x_i + \mu\,\partial_i V_\theta(x')\,\Delta t)^2}{4\mu kT\,\Delta t} + c .$$
#
# `tg.thermodynamics.forward_action` and `tg.thermodynamics.reverse_action` sum them along a path. The ratio
# splits, by algebra alone, into a heat-like part and a part of squared forces, with
# $g^+ = \nabla V_\theta(x_{k+1})$ and $g^- = \nabla V_0(x_k, t_k)$:
#
# $$\ln \frac{P_0}{\tilde P_\theta} = -\frac{1}{2kT} \sum_k \Delta x_k \cdot (g^+_k + g^-_k)
# + \frac{\mu\Delta t}{4kT} \sum_k \left(|g^+_k|^2 - |g^-_k|^2\right) .$$
#
# **First check: the identity holds for every path, computer and step**, also for a random computer.
# `tg.noising_path_ratio` simulates many paths and evaluates them in float64.

# %%
rng = np.random.default_rng(0)
matrix = rng.normal(0, 0.5 / np.sqrt(784), (784, 784))
matrix = np.triu(matrix, 1) + np.triu(matrix, 1).T
couplings = tg.couplings.all_to_all(tg.Units(visible=784)).with_matrix(jnp.asarray(matrix))
random_computer = tg.make_computer(couplings)
ratio = tg.noising_path_ratio(jax.random.key(2), random_computer, force, 30, schedule)
print(f"ln P0/P~ = {ratio.total.mean():.1f}, mean of 30")
print(f"         = heat part {ratio.heat_part.mean():.1f} + force part {ratio.force_part.mean():.1f}")
print(f"largest violation of the identity: {np.abs(ratio.identity_residual).max():.0e}")
assert np.abs(ratio.identity_residual).max() < 1e-9

figure, axis = plt.subplots(figsize=(4.2, 3))
axis.scatter(ratio.heat_part, ratio.force_part, s=14, c=np.arange(30) % 3, cmap="viridis")
axis.set(xlabel="heat part", ylabel="force part", title="30 noising paths, coloured by digit")
plt.show()

# %% [markdown]
# The force part is not small, because noising (forces, no couplings) and generation (couplings, no forces)
# have different landscapes. So the log-ratio is *not* the heat over $kT$. Training that makes the ratio small
# does not minimise the heat.
#
# ## When the ratio is the heat: detailed balance
#
# If both directions have one constant landscape, the ratio is the energy difference of the ends,
#
# $$\ln \frac{P[\omega \mid x_0]}{P[\tilde\omega \mid x_K]} = -\frac{V(x_K) - V(x_0)}{kT} ,$$
#
# up to the error of a finite step. **Second check**, on two coupled units: the error is proportional to
# $\Delta t$.

# %%
J = jnp.array([[0.0, -1.5], [-1.5, 0.0]])
two = tg.make_computer(tg.couplings.all_to_all(tg.Units(visible=2)).with_matrix(J))
x0 = 0.8 * jax.random.normal(jax.random.key(4), (500, 2))
errors = {}
for dt in (0.02, 0.005, 0.00125):
    steps = round(1 / dt)
    run = tg.simulate(
        jax.random.key(3), two, x0, steps=steps, dt=dt, observers={"x": tg.langevin.Snapshots()}, every=1
    )
    way = run.records["x"]
    found = tg.thermodynamics.log_ratio(two, two, way, dt).total
    balance = -(two.energy(way[-1]) - two.energy(way[0])) / two.kT
    errors[dt] = float(jnp.sqrt(jnp.mean((found - balance) ** 2)))
print({dt: round(error, 4) for dt, error in errors.items()})
for coarse, fine in ((0.02, 0.005), (0.005, 0.00125)):
    assert 3 < errors[coarse] / errors[fine] < 5

figure, axis = plt.subplots(figsize=(4.2, 3))
axis.plot(balance, found, ".", ms=3)
ends = [float(balance.min()), float(balance.max())]
axis.plot(ends, ends, color="k", lw=0.6)
axis.set(xlabel=r"$-\Delta V / kT$", ylabel=r"$\ln P/\tilde P$", title=f"500 paths, $\\Delta t = {dt:g}$")
plt.show()

# %% [markdown]
# ## A fluctuation theorem for noising
#
# $\tilde P_\theta[\tilde\omega \mid x_K]$ is a normalised density of paths. So for *any* couplings and any
# normalised density $\rho$ of the state from which generation starts,
#
# $$\left\langle \frac{\rho(x_K)\,\tilde P_\theta[\tilde\omega \mid x_K]}{p_0(x_0)\,P_0[\omega \mid x_0]}
# \right\rangle_{\omega \sim P_0} = 1 ,$$
#
# with $p_0$ the equilibrium under the full force. This is the Crooks relation of the pair (noising,
# generation). Training lowers the average of the negative logarithm, a bound that is never negative.
# **Third check**, on two units, for which the average of an exponential converges.

# %%
count, field = 20_000, jnp.array([0.6, -0.4])
small = tg.Schedule(t_f=1.0, dt=0.02)
lone = two.uncoupled()
held = tg.make_computer(tg.couplings.NoCouplings(tg.Units(visible=2)), bias=-np.asarray(field))
weak = tg.make_computer(tg.couplings.all_to_all(tg.Units(visible=2)).with_matrix(J / 5))
numbers = jnp.arange(count)
ramp = tg.noising.RampedField(lone, jnp.tile(field, (count, 1)), small)
begin = noising_start(jax.random.key(5), lone, ramp.field, numbers)
noised = noising_stretch(sample_keys(jax.random.key(6), numbers), ramp, begin, 0, small.steps)

log_p0 = -np.asarray(held.energy(noised[0]), float) / 0.1 - log_partition(held)
log_rho = -np.asarray(lone.energy(noised[-1]), float) / 0.1 - log_partition(lone)
bound = log_p0 - log_rho + np.asarray(tg.thermodynamics.log_ratio(ramp, weak, noised, small.dt).total, float)
weight = np.exp(-bound)
error = weight.std(ddof=1) / np.sqrt(count)
print(f"<weight> = {weight.mean():.3f} ± {error:.3f}, and <-ln weight> = {bound.mean():.2f} > 0")
assert abs(weight.mean() - 1) < 4 * error
assert bound.mean() > 0

# %% [markdown]
# ## The gradient is local
#
# The gradient of the reverse action is local: with the residual
# $r_i = (-\Delta x_i + \mu\,\partial_i V_\theta(x')\,\Delta t)/2kT$ of each unit,
#
# $$\frac{\partial}{\partial J_{ij}} \left(-\ln \tilde P_\theta\right) =
# \sum_k \left(r_i x'_j + r_j x'_i\right) .$$
#
# A coupler needs only its two units. **Fourth check**: `tg.thermodynamics.local_gradient` equals the result
# of automatic differentiation.


# %%
def action(value):
    """Reverse action of the stored paths of two units, as a function of their one coupling."""
    matrix = jnp.array([[0.0, 1.0], [1.0, 0.0]]) * value
    computer = tg.make_computer(tg.couplings.all_to_all(tg.Units(visible=2)).with_matrix(matrix))
    return jnp.sum(tg.thermodynamics.reverse_action(computer, noised[:, :100], small.dt))


automatic = float(jax.grad(action)(-0.3))
local = float(tg.thermodynamics.local_gradient(weak, noised[:, :100], small.dt).couplings.matrix()[0, 1])
print(f"automatic {automatic:.4f}, local {local:.4f}")
assert abs(automatic - local) < 1e-3 * abs(automatic)

# %% [markdown]
# Next: [exact training against descent](04-exact-against-descent.ipynb). Derivations: [physics, sections 3
# and 5](../physics.md#3-path-probabilities-and-the-local-gradient).
