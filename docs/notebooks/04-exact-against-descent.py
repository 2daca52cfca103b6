# %% [markdown]
# # Exact training against descent
#
# Training finds the couplings that make the reversed noising paths most probable. The published method is
# gradient descent on sampled noising paths. But the units of the noising process are independent, and the
# loss is quadratic in the parameters $\theta = (J, b)$. So its average over *all* thermal noise can be
# minimised exactly. This notebook trains the same computer with both methods and compares them on new paths.

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
# ## The problem
#
# The computer has 784 visible and 512 hidden units. The image acts on the hidden units too
# (`imprint="tile"`: pixel $h$ also acts on hidden unit $h$). Without a field on the hidden units, training
# could not determine any visible–hidden coupling.

# %%
digits = tg.load_digits([0, 1, 2])
schedule = tg.Schedule(dt=5e-3)
computer = tg.make_computer(tg.published_couplings(tg.Units(visible=784, hidden=512)))
fields = tg.imprint_fields(digits.standardised(), digits.labels, hidden=512, imprint="tile")

# %% [markdown]
# ## Descent
#
# `tg.train` samples noising trajectories. After each one it moves the parameters along the local gradient,
# $\theta \leftarrow \theta - \alpha\,g$ with $\alpha = 10^{-3}/t_f$.

# %%
began = time.perf_counter()
descent = tg.train(jax.random.key(1), computer, fields, schedule, cycles=100)
print(f"descent: {time.perf_counter() - began:.1f} s, compilation included")

# %% [markdown]
# ## Exact
#
# The loss contains only moments of one unit in a ramped field: the mean $m(f,t)$, the mean square, and the
# mean slope of the on-site potential. They follow from a one-dimensional Fokker–Planck equation. With
# $C = \int\langle x x^T\rangle dt$ and the corresponding $U$ of the drives, the gradient vanishes where
#
# $$(JC)_{ij} + (JC)_{ji} + b_i \bar m_j + b_j \bar m_i + U_{ij} + U_{ji} = 0$$
#
# for every coupled pair. `tg.train_exact` solves this linear system by conjugate gradients. No trajectory is
# sampled.

# %%
began = time.perf_counter()
exact = tg.train_exact(jax.random.key(1), computer, fields, schedule)
print(f"exact: {time.perf_counter() - began:.1f} s, compilation included; solver: {exact.exact}")

# %% [markdown]
# ## Comparison of the losses
#
# The loss is about $N/2 = 648$. Nearly all of it is thermal noise, which training cannot remove. So
# `tg.training.path_loss` compares the two on the *same* noising paths, with a new key. The difference is the
# result.

# %%
unseen, paths = jax.random.key(99), jnp.arange(60)


def loss(one):
    """Loss of a computer on sixty noising paths, in the same order for all."""
    return np.asarray(tg.training.path_loss(unseen, one, fields, schedule, paths), float)


untrained, after_descent, at_optimum = loss(computer), loss(descent.computer), loss(exact.computer)
for name, values in (("descent", after_descent), ("exact", at_optimum)):
    gain = values - untrained
    print(f"{name}: {gain.mean():.3f} ± {gain.std(ddof=1) / 60**0.5:.3f} against no training")
gain = at_optimum - after_descent
error = gain.std(ddof=1) / 60**0.5
print(f"exact - descent: {gain.mean():.4f} ± {error:.4f}")
assert gain.mean() < -4 * error

# %% [markdown]
# ## Check of the minimum
#
# The solution is scaled by a factor $\lambda$, $\theta \to \lambda\,\theta$. The loss on any set of paths is
# a parabola in $\lambda$. If the solution minimises the average over all noise, the minimum over sixty paths
# lies at $\lambda = 1$ within its statistical error.


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
# Descent reaches most of the depth of the parabola within about ten cycles. More cycles do not close the gap:
# at a constant rate, the sampling noise of descent sets a floor above the minimum.
#
# ## Sampling noise in the couplings
#
# The sampling noise enters the couplings, as the singular values of the visible–hidden block show. The exact
# solution for three images has a few directions. The other directions of descent are noise. Therefore
# exactly trained computers need few couplers (`tg.couplings.compress`).

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
# ## Generated images
#
# Both computers run with the same noise and times. With the published imprint about half of the images are
# inverted. Biases on the visible units and a code for the label on the hidden units prevent this ([exact
# training](../exact-training.md#what-each-choice-contributes)), as in the [first
# notebook](01-noise-becomes-a-digit.ipynb).

# %%
pictures = []
for name, one in (("descent", descent.computer), ("exact", exact.computer)):
    drawn = tg.generate(jax.random.key(5), one, 16, schedule, film_samples=1)
    scores = tg.quality.prototype_scores(drawn.visible, digits.standardised())
    correlation = np.abs(scores.correlation).max(1).mean()
    print(f"{name}: heat {drawn.heat_kT.mean():.0f} kT, mean |correlation| {correlation:.2f}")
    pictures.append(drawn.visible)
figure, axis = plt.subplots(figsize=(8, 1.3))
axis.imshow(plate(grey(np.concatenate(pictures)), (28, 28), 16), cmap="gray")
axis.set(xticks=[], yticks=[18, 50], yticklabels=["descent", "exact"])
plt.show()

# %% [markdown]
# Next: [all ten digits and baselines](05-ten-digits.ipynb).
