# %% [markdown]
# # All ten digits and baselines
#
# Three memorised digits show the principle. This notebook uses a class-conditional computer, which draws new
# images of all ten digits. The evaluation is that of image generators: a classifier and a distance between
# distributions. The baselines, a digital denoiser and mixtures of Gaussians, train on the same images.

# %%
import time

import jax
import matplotlib.pyplot as plt
import numpy as np

import thermogen as tg
from thermogen.baselines import fit_denoiser, fit_mixture
from thermogen.quality import Reference, evaluate
from thermogen.quality.grey import grey as as_ink
from thermogen.quality.measures import nearest
from thermogen.report.films import grey, plate
from thermogen.studies.conditional_training import ConditionalSettings, train_conditional

plt.rcParams.update(
    {"axes.spines.top": False, "axes.spines.right": False, "figure.constrained_layout.use": True}
)

# %% [markdown]
# ## One wiring for all conditions
#
# The shipped model couples 784 units through 64 shared modes $B$. Every *condition* $c$, a cluster of images
# of one class, has a small matrix $M$ and biases $b$:
#
# $$J(c) = B\,M(c)\,B^T , \qquad b = b(c).$$
#
# To draw a 7, `tg.generate` draws a condition of class 7 by weight and sets the device to it. All other
# randomness is thermal. Each condition was trained exactly (`tg.training.mode_statistics`,
# `tg.training.solve_modes`).

# %%
model = tg.Model.from_pretrained("ten-digits")
table = model.computer
print(f"{len(table.classes)} conditions, r = {table.basis.shape[1]} modes, kT = {float(table.kT):g}")

chosen = np.resize(np.arange(10), 500)
samples = tg.generate(jax.random.key(0), table, 500, model.schedule, labels=chosen, film_samples=1)
figure, axis = plt.subplots(figsize=(5.6, 5.8))
axis.imshow(plate(grey(samples.visible[:100]), (28, 28), 10), cmap="gray")
axis.set(title="a column for each digit, without selection", xticks=[], yticks=[])
plt.show()

# %% [markdown]
# ## Class accuracy
#
# A classifier ships with the package (`tg.quality.load_classifier`). It is right on 99.5 % of MNIST's test
# images, which no training here uses. The class accuracy is the share of samples that the classifier assigns
# to the chosen digit.

# %%
classifier = tg.quality.load_classifier()
verdict = classifier.classify(samples.visible).label
confusion = np.zeros((10, 10), int)
np.add.at(confusion, (chosen, verdict), 1)
figure, axis = plt.subplots(figsize=(3.8, 3.4))
shown = axis.imshow(confusion, cmap="Blues")
axis.set(xlabel="classified as", ylabel="chosen digit", xticks=range(10), yticks=range(10))
figure.colorbar(shown, label="samples")
plt.show()
print(f"{np.mean(verdict == chosen):.1%} of 500 right; worst class {confusion.diagonal().min() / 50:.0%}")
assert np.mean(verdict == chosen) > 0.97
assert confusion.diagonal().min() / 50 > 0.85

# %% [markdown]
# ## Baselines on the same data
#
# All generators train on the same 800 of the thousand shipped digits (`tg.load_split`). The other 200 are
# held out for the evaluation. The measure is the Fréchet distance of Gaussians fitted to the classifier's 128
# features,
#
# $$d = |m - m'|^2 + \mathrm{tr}\left(C + C' - 2\,(C C')^{1/2}\right) ,$$
#
# where smaller is better. `evaluate` gives it with a jackknife error. It depends on the number of images:
# compare within this table only. [All ten digits](../all-classes.md#results) has the figures for all of
# MNIST.

# %%
split = tg.load_split()
reference = Reference.of(classifier, split.training.grey(), split.held_out.grey(), split.held_out.labels)
key = jax.random.key(1)
drawn, seconds = {}, {}


def timed(name, work):
    """Keep the samples of `work` and its seconds of training and sampling."""
    began = time.perf_counter()
    drawn[name] = np.asarray(work())
    seconds[name] = time.perf_counter() - began


def thermodynamic():
    """Match mean and a share of the variance in closed form, then generate samples."""
    settings = ConditionalSettings.of(clusters=20, modes=64, match=0.3)
    control = train_conditional(split.training, settings).control
    return tg.generate(key, control, 500, settings.schedule, labels=chosen, film_samples=1).visible


ink, labels = split.training.grey(), split.training.labels
timed("thermodynamic", thermodynamic)
timed("denoiser, 10 steps", lambda: fit_denoiser(key, ink, labels, steps=10, updates=1500).draw(key, chosen))
timed("Gaussians, one a class", lambda: fit_mixture(ink, labels, components=1).draw(key, chosen))
timed("Gaussians, 20 a class", lambda: fit_mixture(ink, labels).draw(key, chosen))

measures = {name: evaluate(images, reference, chosen) for name, images in drawn.items()}
rng = np.random.default_rng(0)
noise = rng.normal(size=(500, 784)).astype(np.float32)
measures["noise"] = evaluate(noise, reference, chosen)
measures["training images"] = evaluate(ink[:500], reference)
print(f"{'':24} {'right':>7} {'Fréchet':>13} {'seconds':>8}")
for name, one in measures.items():
    right = f"{one['accuracy']['mean']:.1%}" if "accuracy" in one else "–"
    took = f"{seconds[name]:.0f}" if name in seconds else "–"
    print(f"{name:24} {right:>7} {one['frechet']['mean']:7.0f} ± {one['frechet']['sem']:3.0f} {took:>8}")

# %%
figure, axis = plt.subplots(figsize=(8, 1.6))
rows = np.concatenate([grey(images[:20]) for images in drawn.values()])
axis.imshow(plate(rows, (28, 28), 20), cmap="gray")
axis.set(xticks=[], yticks=18 + 32 * np.arange(len(drawn)), yticklabels=list(drawn))
plt.show()

# %% [markdown]
# **Check.** The thermodynamic computer draws the chosen digits and is far from noise. Its distance to
# held-out digits is no larger than that of the digital denoiser, within the error of the difference. The
# denoiser is trained briefly here. [All ten digits](../all-classes.md#results) has its best figures.

# %%
own, denoiser = measures["thermodynamic"], measures["denoiser, 10 steps"]
assert own["accuracy"]["mean"] > 0.95
assert own["frechet"]["mean"] < measures["noise"]["frechet"]["mean"] / 3
error = np.hypot(own["frechet"]["sem"], denoiser["frechet"]["sem"])
assert own["frechet"]["mean"] < denoiser["frechet"]["mean"] + 4 * error

# %% [markdown]
# ## Test for copies
#
# A generator that repeats its training images would score well so far. So we compare the distance of each
# sample to the nearest training image with that of held-out digits.

# %%
distance = nearest(as_ink(drawn["thermodynamic"]), reference.training)
figure, axis = plt.subplots(figsize=(6, 2.6))
bins = np.linspace(0, 0.35, 50)
axis.hist(reference.distance, bins, density=True, color="tab:gray", alpha=0.6, label="held-out digits")
axis.hist(distance, bins, density=True, color="tab:orange", alpha=0.6, label="drawn digits")
axis.set(xlabel="distance to the nearest training image (rms over pixels)", ylabel="density")
axis.legend(frameon=False)
plt.show()
copies = np.mean(distance < np.percentile(reference.distance, 1))
print(f"nearer than 99 % of held-out digits: {copies:.1%}")
print(f"median distance: drawn {np.median(distance):.3f}, held out {np.median(reference.distance):.3f}")
assert copies < 0.05

# %% [markdown]
# Variety remains lower than in real digits: see recall and coverage in [all ten
# digits](../all-classes.md#results).
#
# Next: [heat, work, entropy, joules](06-heat-work-joules.ipynb).
