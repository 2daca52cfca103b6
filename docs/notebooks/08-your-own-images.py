# %% [markdown]
# # Your own images
#
# This notebook trains on your own grey images. It writes four letters as `.png` files, loads them, trains a
# computer exactly, generates samples, completes a half letter, and saves the model. The commands are
# `thermogen train --images FOLDER --out MODEL` and `thermogen sample MODEL --out pictures.png`.

# %%
import tempfile
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np
from PIL import Image, ImageDraw, ImageFont

import thermogen as tg
from thermogen.langevin import mean_in_field
from thermogen.report.films import grey, plate

plt.rcParams.update(
    {"axes.spines.top": False, "axes.spines.right": False, "figure.constrained_layout.use": True}
)


def show(images, shape, columns, title):
    """Images in rows, light on black."""
    width = min(8, columns)
    rows = np.ceil(len(images) / columns)
    _, axis = plt.subplots(figsize=(width, 0.5 + width * rows / columns))
    axis.imshow(plate(grey(np.asarray(images)), shape, columns, scale=2), cmap="gray")
    axis.set(title=title, xticks=[], yticks=[])
    plt.show()


# %% [markdown]
# ## Make the images
#
# `tg.load_images` reads `.npz`, `.npy`, IDX or `.png` files, and folders of `.png` files. In a folder, a
# number and an underscore at the start of a name give the class.

# %%
folder = Path(tempfile.mkdtemp())
(folder / "letters").mkdir()
for label, letter in enumerate("COLD"):
    picture = Image.new("L", (20, 20), 0)
    ImageDraw.Draw(picture).text((10, 10), letter, fill=255, anchor="mm", font=ImageFont.load_default(20))
    picture.save(folder / "letters" / f"{label}_{letter}.png")

images = tg.load_images(folder / "letters")
print(len(images), "images of", images.shape, "pixels, classes", images.labels)
show(images.standardised(), images.shape, 4, "training images")

# %% [markdown]
# ## Train
#
# The computer has one visible unit a pixel, and hidden units. `tg.imprint_fields` computes the fields of the
# images. `imprint="code"` gives each class a pattern of signs on the hidden units, which separates the
# classes. `tg.train_exact` solves for the couplings and biases.

# %%
hidden = 256
units = tg.Units(visible=images.shape[0] * images.shape[1], hidden=hidden)
schedule = tg.Schedule(dt=5e-3, ramp_fraction=0.4, readout=0.4)
fields = tg.imprint_fields(
    images.standardised(), images.labels, hidden, imprint="code", amplitude=2.5, hidden_amplitude=5.0
)
computer = tg.make_computer(tg.published_couplings(units))
trained = tg.train_exact(jax.random.key(0), computer, fields, schedule, visible_biases=True)
samples = tg.generate(jax.random.key(1), trained.computer, 200, schedule, film_samples=1)
show(samples.visible[:40], images.shape, 20, "the first forty, without selection")

# %% [markdown]
# **Check.** Nearly all samples are close to one of the four letters, and each letter is drawn.

# %%
scores = tg.quality.prototype_scores(samples.visible, images.standardised())
share = np.mean(scores.best > 0.7)
print(f"above 0.7: {share:.1%} of 200; drawn: {dict(zip('COLD', scores.counts.tolist(), strict=True))}")
assert share > 0.85
assert scores.counts.min() > 0

# %% [markdown]
# ## The trap: hidden units without field
#
# Without an imprint on the hidden units, the units are independent. The average gradient of every
# visible–hidden coupling is then exactly zero, and gradient descent fits only its own sampling noise. Exact
# training raises an error:

# %%
blind = fields.at[:, units.slice("hidden")].set(0.0)
try:
    tg.train_exact(jax.random.key(0), computer, blind, schedule, visible_biases=True)
except tg.InputError as error:
    refusal = str(error)
print(refusal)
assert "teach no coupling" in refusal

# %% [markdown]
# ## Half a letter
#
# `tg.Clamp` clamps some units by setting their mobility to zero. Here it clamps the lower half of each letter
# at the mean values under the imprint. The computer completes the upper half.

# %%
shown = np.zeros(units.total, bool)
shown[units.visible // 2 : units.visible] = True
rest = np.asarray(
    mean_in_field(np.asarray(fields), 1.0, 1.0, kT=0.1)
)  # mean of every unit under its full field
each = 10
clamp = tg.Clamp(shown, np.repeat(rest, each, 0))
finished = tg.generate(jax.random.key(2), trained.computer, 4 * each, schedule, clamp=clamp, film_samples=1)
show(finished.visible, images.shape, 20, "lower halves clamped, upper halves completed")
upper = slice(0, units.visible // 2)
found = tg.quality.prototype_scores(finished.visible[:, upper], images.standardised()[:, upper])
right = found.nearest == np.repeat(np.arange(4), each)
print(f"upper half right: {right.sum()} of {right.size}; by letter {right.reshape(4, each).sum(1)}")
assert right.mean() > 0.5  # one in four by chance

# %% [markdown]
# ## Save the model
#
# A model folder holds a readable card (`card.json`) and the arrays (`model.safetensors`), both with
# checksums.

# %%
path = tg.Model(trained.computer, schedule, images.shape).save_pretrained(folder / "model")
again = tg.Model.from_pretrained(path)
redrawn = tg.generate(jax.random.key(1), again.computer, 200, again.schedule, film_samples=1)
assert np.array_equal(redrawn.visible, samples.visible)
print(sorted(file.name for file in path.iterdir()))

# %% [markdown]
# ## Errors
#
# An image without contrast cannot be scaled to unit variance. An error is one line with the value and the
# remedy.

# %%
Image.new("L", (20, 20), 128).save(folder / "letters" / "4_blank.png")
try:
    tg.load_images(folder / "letters")
except tg.InputError as error:
    message = str(error).replace(str(folder), "…")
print(message)
assert "constant" in message

# %% [markdown]
# For hundreds of images of many classes, use class-conditional training: [all ten
# digits](05-ten-digits.ipynb).
