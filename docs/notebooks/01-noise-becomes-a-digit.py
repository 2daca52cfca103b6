# %% [markdown]
# # Noise becomes a digit
#
# A thermodynamic computer is a network of fluctuating units: voltages, oscillators or Josephson phases. Its
# couplings are set once. Then its thermal motion forms an image from noise, without a neural network and
# without random numbers. This notebook generates images with such a computer and measures their heat.

# %%
import jax
import matplotlib.pyplot as plt
import numpy as np

import thermogen as tg
from thermogen.report.films import film_grey, grey, plate

plt.rcParams.update(
    {"axes.spines.top": False, "axes.spines.right": False, "figure.constrained_layout.use": True}
)

# %% [markdown]
# ## The computer
#
# A trained computer ships with the package. It has 784 visible units, one for each pixel, and 512 hidden
# units. Its energy is
#
# $$V_\theta(x) = \sum_i \left(J_2 x_i^2 + J_4 x_i^4 + b_i x_i\right) + \sum_{i<j} J_{ij} x_i x_j$$
#
# and it moves by Langevin dynamics, a drift down the energy and thermal noise:
#
# $$dx_i = -\mu\,\partial_i V_\theta\,dt + \sqrt{2\mu kT}\,dW_i .$$
#
# Training sets the couplings $J_{ij}$ and the biases $b_i$.

# %%
model = tg.Model.from_pretrained("three-digits")
computer, schedule = model.computer, model.schedule
print(computer.units)
print(f"{computer.couplings.count():,} couplers; kT = {float(computer.kT):g}")
print(schedule)

figure, axes = plt.subplots(1, 2, figsize=(7, 2.6), width_ratios=[1.7, 1])
axes[0].imshow(plate(grey(model.prototypes), (28, 28), 3, scale=2), cmap="gray")
axes[0].set(title="training images", xticks=[], yticks=[])
bias = -np.asarray(computer.bias[:784]).reshape(28, 28)
shown = axes[1].imshow(bias, cmap="RdBu_r", vmin=-np.abs(bias).max(), vmax=np.abs(bias).max())
axes[1].set(title="$-b_i$ of the visible units", xticks=[], yticks=[])
figure.colorbar(shown, shrink=0.8, label="$E_0$")
plt.show()

# %% [markdown]
# ## Generation
#
# `tg.generate` starts the units in equilibrium without couplings, which is thermal noise. It switches the
# couplings on at $t = 0$, runs the dynamics for $t_f$, and reads the visible units.

# %%
samples = tg.generate(jax.random.key(7), computer, 100, schedule, film_frames=200)
figure, axis = plt.subplots(figsize=(8, 3.3))
axis.imshow(plate(grey(samples.visible[:60]), model.image_shape, 15), cmap="gray")
axis.set(title="the first sixty, without selection", xticks=[], yticks=[])
plt.show()

# %% [markdown]
# ## The trajectories
#
# The figure shows the same samples during the run. Each row is one run, from noise (left) to image (right).
# Below are single pixels of the first run. Some rise, some fall, and all keep fluctuating.

# %%
times = samples.film_times
shown = [int(np.abs(times - t).argmin()) for t in (0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.2, 1.8, 2.5)]
tiles = film_grey(samples.film[shown, :5]).transpose(1, 0, 2).reshape(-1, 784)
figure, axis = plt.subplots(figsize=(8, 4.1))
axis.imshow(plate(tiles, model.image_shape, len(shown), scale=2), cmap="gray")
axis.set(xticks=30 + 60 * np.arange(len(shown)), yticks=[], xlabel=r"$t$ / $(\mu E_0)^{-1}$")
axis.set_xticklabels([f"{times[k]:.2f}" for k in shown])
plt.show()

figure, axis = plt.subplots(figsize=(7, 2.6))
pixels = [14 * 28 + column for column in (4, 9, 14, 19, 24)]
axis.plot(times, samples.film[:, 0, pixels], lw=0.8)
axis.set(xlabel=r"$t$ / $(\mu E_0)^{-1}$", ylabel="$x_i$", title="five units of one row of pixels")
plt.show()

# %% [markdown]
# ## Correlation with the digits
#
# `tg.quality.prototype_scores` correlates each sample with each training digit. The null is the same units
# with the same noise, but without couplings.

# %%
scores = tg.quality.prototype_scores(samples.visible, model.prototypes)
idle = tg.generate(jax.random.key(7), computer.uncoupled(), 100, schedule, film_samples=1)
null = tg.quality.prototype_scores(idle.visible, model.prototypes)
error = scores.best.std(ddof=1) / 10
print(f"best correlation: {scores.best.mean():.3f} ± {error:.3f} (n = 100)")
print(f"above 0.7: {np.mean(scores.best > 0.7):.0%}")
print(f"without couplings: {null.best.mean():.3f}")
print(f"drawn as 0, 1, 2: {scores.counts}")
assert np.mean(scores.best > 0.7) > 0.9
assert null.best.mean() < 0.2

figure, axis = plt.subplots(figsize=(6, 2.6))
bins = np.linspace(-0.2, 1, 49)
axis.hist(null.best, bins, color="tab:gray", alpha=0.7, label="without couplings")
axis.hist(scores.best, bins, color="tab:orange", alpha=0.8, label="trained")
axis.set(xlabel="correlation with the nearest digit", ylabel="samples of 100")
axis.legend(frameon=False)
plt.show()

# %% [markdown]
# ## Heat and work
#
# During the run the computer loses energy to the bath: heat $Q = V_\theta(x(0)) - V_\theta(x(t_f))$.
# Switching the couplings on costs the work $W = V_\theta(x(0)) - V_0(x(0))$, where $V_0$ is the energy of the
# units alone. The first law relates them:
#
# $$V_\theta(x(t_f)) - V_0(x(0)) = W - Q .$$

# %%
change = samples.end.total - samples.start.on_site
left = np.abs(change - (samples.work - samples.heat)).max() / samples.kT
heat = samples.heat_kT
joules = heat.mean() * 1.380649e-23 * 300
spread = heat.std(ddof=1)
print(f"heat: {heat.mean():.0f} ± {spread / 10:.0f} kT a sample, sd {spread:.0f}; {joules:.1e} J at 300 K")
print(f"first law closed to {left:.0e} kT")
assert left < 1e-2  # float32: energies of thousands of kT

figure, axis = plt.subplots(figsize=(6, 2.6))
axis.hist(heat, 25, color="tab:red", alpha=0.7)
axis.set(xlabel="heat released / kT", ylabel="samples of 100")
plt.show()

# %% [markdown]
# A few thousand $kT$ is the energy of a few hundred chemical bonds. [Notebook 6](06-heat-work-joules.ipynb)
# estimates the other costs of a device.
#
# ## Samples do not depend on the batch
#
# The noise of sample $n$ at step $k$ depends on the key, on $n$ and on $k$ alone. So sample 3 is the same in
# a batch of a hundred and in a batch of four. Runs can be split, resumed and shared without a change of the
# samples, up to rounding: products of other shapes add in another order.

# %%
few = tg.generate(jax.random.key(7), computer, 4, schedule, batch=4, film_samples=1)
assert np.abs(few.visible - samples.visible[:4]).max() < 1e-3

# %% [markdown]
# Next: [the energy landscape of one and two units](02-energy-landscape.ipynb), by hand.
