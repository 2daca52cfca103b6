# %% [markdown]
# # Exact training against descent
#
# Training asks for the couplings that make the reversed noising paths most probable. The published way is
# descent: noise an image, follow the path, take its gradient, repeat. But the units of the noising process
# are independent and the loss is quadratic in the couplings $\theta = (J, b)$, so its average over *all*
# thermal noise can be written down and minimised at once. This notebook trains the same computer both ways
# and compares them on paths that neither has seen.

# %%
import time

import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import thermogen as tg
from thermogen.report.films import grey, plate

plt.rcParams.update(
    {"axes.spines.top": False, "axes.spines.right": False, "figure.constrained_layout.use": True}
)

# %% [markdown]
# ## One problem
#
# Three digits, 784 visible and 512 hidden units, which feel the image too (`imprint="tile"`: hidden unit $h$
# feels the pixel $h$ once more). If the hidden units felt nothing, no visible–hidden coupling would learn
# anything.

# %%
digits = tg.load_digits([0, 1, 2])
schedule = tg.Schedule(dt=5e-3)
computer = tg.make_computer(tg.published(tg.Units(visible=784, hidden=512)))
fields = tg.fields(digits.standardised(), digits.labels, hidden=512, imprint="tile")

# %% [markdown]
# ## Descent
#
# `tg.train` follows sampled noising trajectories. After each it moves the parameters down the local gradient,
# $\theta \leftarrow \theta - \alpha\,g$ with $\alpha = 10^{-3}/t_f$.

# %%
began = time.perf_counter()
descent = tg.train(jax.random.key(1), computer, fields, schedule, cycles=100)
print(f"descent: {time.perf_counter() - began:.1f} s, compilation included")

# %% [markdown]
# ## Exact
#
# In the loss only moments of one unit in a ramped field appear: the mean $m(f,t)$, the mean square, the mean
# slope of the on-site potential. They come from a one-dimensional Fokker–Planck equation. With
# $C = \int\langle x x^T\rangle dt$ and the matching $U$ of drives, the gradient vanishes where
#
# $$(JC)_{ij} + (JC)_{ji} + b_i \bar m_j + b_j \bar m_i + U_{ij} + U_{ji} = 0$$
#
# for every coupled pair: a linear system, which `tg.train_exact` solves by conjugate gradients. No trajectory
# is sampled.

# %%
began = time.perf_counter()
exact = tg.train_exact(jax.random.key(1), computer, fields, schedule)
print(f"exact: {time.perf_counter() - began:.1f} s, compilation included; solver: {exact.exact}")

# %% [markdown]
# ## Which one is lower?
#
# The loss is about $N/2 = 648$, nearly all of it thermal noise that no training removes. So the two are
# compared on the *same* noising paths (`tg.path_loss`), of a key that neither has used, and what counts is
# the difference.

# %%
unseen, paths = jax.random.key(99), jnp.arange(60)


def loss(one):
    """Loss of a computer on sixty noising paths, in the same order for all."""
    return np.asarray(tg.path_loss(unseen, one, fields, schedule, paths), float)


untrained, after_descent, at_optimum = loss(computer), loss(descent.computer), loss(exact.computer)
for name, values in (("descent", after_descent), ("exact", at_optimum)):
    gain = values - untrained
    print(f"{name}: {gain.mean():.3f} ± {gain.std(ddof=1) / 60**0.5:.3f} against no training")
gain = at_optimum - after_descent
error = gain.std(ddof=1) / 60**0.5
print(f"exact - descent: {gain.mean():.4f} ± {error:.4f}")
assert gain.mean() < -4 * error

# %% [markdown]
# ## Is it the minimum?
#
# Scale the solution by a factor $\lambda$, $\theta \to \lambda\,\theta$. The loss on any set of paths is a
# parabola in $\lambda$. If the solution is the minimum of the average over all noise, then over sixty paths
# the minimum lies at $\lambda = 1$ within its statistical error.


# %%
def scaled(one, factor):
    """The computer with couplings and biases times a factor."""
    return eqx.tree_at(
        lambda c: (c.couplings, c.bias),
        one,
        (jax.tree.map(lambda leaf: leaf * factor, one.couplings), one.bias * factor),
    )


factors = np.array([0.0, 0.5, 1.0, 1.5])
values = np.stack([loss(scaled(exact.computer, factor)) - untrained for factor in factors])
parabolas = np.polynomial.polynomial.polyfit(factors, values, 2)  # (coefficients, paths)
lowest = -parabolas[1] / (2 * parabolas[2].mean())
error = lowest.std(ddof=1) / 60**0.5
print(f"minimum at {lowest.mean():.4f} ± {error:.4f} of the solution")
assert abs(lowest.mean() - 1) < 4 * error

by_descent = np.mean(after_descent - untrained)
fine = np.linspace(0, 1.6, 100)
figure, axes = plt.subplots(1, 2, figsize=(8, 3))
axes[0].plot(fine, np.polynomial.polynomial.polyval(fine, parabolas.mean(1)), color="tab:orange")
axes[0].errorbar(
    factors,
    values.mean(1),
    values.std(1, ddof=1) / 60**0.5,
    fmt="o",
    ms=4,
    color="tab:orange",
    label="exact, scaled",
)
axes[0].axhline(by_descent, color="tab:blue", ls="--", lw=1, label="descent, 100 cycles")
axes[0].set(xlabel=r"$\lambda$", ylabel="loss − loss untrained")
axes[0].legend(frameon=False)
cycles, followed, _ = np.array(descent.validation).T
axes[1].plot(cycles, followed - followed[0], "o-", ms=3, color="tab:blue", label="descent")
axes[1].axhline(exact.validation[-1][1] - exact.validation[0][1], color="tab:orange", label="exact")
axes[1].set(xlabel="cycle", ylabel="loss − loss untrained, six fixed paths")
axes[1].legend(frameon=False)
plt.show()

# %% [markdown]
# Most of the parabola's depth is reached by descent within some ten cycles. What is left is not a matter of
# patience: at a constant rate, descent hovers around the minimum at the height of its own sampling noise.
#
# ## Where the sampling noise goes
#
# It goes into the couplings. Singular values of the visible–hidden block tell: the solution for three images
# needs a few directions, the rest of what descent has found is noise. This is why exactly trained computers
# can be built with few couplers (`tg.compress`).

# %%
blocks = {
    name: np.asarray(one.couplings.matrix())[:784, 784:]
    for name, one in (("descent", descent.computer), ("exact", exact.computer))
}
figure, axis = plt.subplots(figsize=(5, 3))
for name, block in blocks.items():
    spectrum = np.linalg.svd(block, compute_uv=False)
    share = np.cumsum(spectrum**2) / np.sum(spectrum**2)
    rank = int(np.searchsorted(share, 0.9999)) + 1
    print(f"{name}: rank {rank} holds 99.99 % of the squared couplings")
    axis.semilogy(np.arange(1, 513), spectrum / spectrum[0], label=f"{name}: rank {rank}")
    assert (rank < 10) == (name == "exact")
axis.set(xlabel="number", ylabel="singular value / largest", ylim=(1e-7, 2))
axis.legend(frameon=False)
plt.show()

# %% [markdown]
# ## What they draw
#
# The same noise, the same times. With the published imprint, images come inverted as often as not: biases on
# the visible units and a code for the label on the hidden ones cure that ([exact
# training](../exact-training.md#what-each-choice-contributes)), as in the [first
# notebook](01-noise-becomes-a-digit.ipynb).

# %%
pictures = []
for name, one in (("descent", descent.computer), ("exact", exact.computer)):
    drawn = tg.generate(jax.random.key(5), one, 16, schedule, film_samples=1)
    likeness = np.abs(tg.prototype_scores(drawn.visible, digits.standardised()).correlation).max(1).mean()
    print(f"{name}: heat {drawn.heat_kT.mean():.0f} kT, mean |correlation| {likeness:.2f}")
    pictures.append(drawn.visible)
figure, axis = plt.subplots(figsize=(8, 1.3))
axis.imshow(plate(grey(np.concatenate(pictures)), (28, 28), 16), cmap="gray")
axis.set(xticks=[], yticks=[18, 50], yticklabels=["descent", "exact"])
plt.show()

# %% [markdown]
# Next: [all ten digits and their rivals](05-ten-digits.ipynb).
