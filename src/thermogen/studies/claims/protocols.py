"""Claims of Bösch et al. on driving protocols: couplings, biases and stiffness as functions of time.

They train by force matching: a least-squares fit of the force of the driven network to the drift of reversed
noising. This is the loss of reverse-path training. Its exact solution for each segment is therefore the fixed
point of their rule, without sampling.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key
from PIL import Image

from thermogen.computer import Computer, make_computer
from thermogen.control import ModeTable, Segments
from thermogen.couplings import NoCouplings, Units
from thermogen.data import Images
from thermogen.errors import require
from thermogen.generation import generate
from thermogen.noising import Schedule, noising_start
from thermogen.quality import load_classifier, prototype_scores
from thermogen.seeds import stream
from thermogen.training import mode_statistics, solve_modes

MEANS, SPREAD = 0.6, 0.03
"""Coordinates of the means, +- MEANS both, and the standard deviation of the two Gaussians."""
PLANE = {"J2": 1.0, "J4": 3.0, "kT": 0.04}
"""Stiff walls: the quartic part is what makes two wells, and the imprint must reach it."""
# A slow ramp keeps noising near rest, where wells of this shape are nearly the right answer.
PLANE_TIMES = Schedule(t_f=5.0, dt=0.005, ramp_fraction=0.75)
DIRECTIONS = 16
SIDE = 12
SURE = 0.9
ALIKE = 0.7


class Oscillators(NamedTuple):
    """Units and times for digits, and the place of a unit at a grey level.

        y = tanh(g (2 grey - 1)) / tanh(g) + offset,    g: contrast

    hidden: units that have a field of the class during noising, +- code with alternating signs, in E0. During
    generation they have none.
    """

    J4: float
    kT: float
    contrast: float
    schedule: Schedule
    offset: float = 0.0
    hidden: int = 0
    code: float = 12.0


def resting_force(places: Float[np.ndarray, "*shape"], J2: float, J4: float) -> Float[np.ndarray, "*shape"]:
    """The field in which a unit rests at a place y: f = 2 J2 y + 4 J4 y^3."""
    return 2 * J2 * places + 4 * J4 * places**3


def protocol(
    units: Computer, force: Float[np.ndarray, "P N"], schedule: Schedule, segments: int
) -> ModeTable:
    """The exact protocol for the images of the fields `force`: all pairs, stiffness and biases, no label.

    Constant in each of `segments` intervals of t_f. Raises InputError if these do not divide the steps.
    """
    basis, conditions = np.eye(force.shape[1]), np.zeros(len(force), int)
    statistics = mode_statistics(units, force, conditions, schedule, basis, segments=segments)
    return solve_modes(units, statistics, basis, np.zeros(1, int))


def control(table: ModeTable) -> Computer | Segments:
    """The protocol of all samples together: one set of couplings, not a copy for every sample of a batch."""
    computers = [table.condition(0, number) for number in range(table.segments)]
    return computers[0] if len(computers) == 1 else Segments.from_computers(computers, table.duration)


# --- two Gaussians in the plane ----------------------------------------------------------------------------


def sliced_distance(a: Float[np.ndarray, "n 2"], b: Float[np.ndarray, "n 2"]) -> float:
    """Mean over directions of the Wasserstein distance of the projections, for equal numbers of points."""
    angles = np.pi * np.arange(DIRECTIONS) / DIRECTIONS
    rays = np.stack([np.cos(angles), np.sin(angles)])
    return float(np.abs(np.sort(a @ rays, 0) - np.sort(b @ rays, 0)).mean())


def two_gaussians(seed: int, count: int, segments: int, weight: float, learnt: int = 20_000) -> dict:
    """One independent run: train on `learnt` points, generate `count`, compare with fresh data.

    weight: share of the Gaussian at positive coordinates. Fresh data are exact samples of imprinted units.

        distance    of generated points to fresh data; floor: of two fresh sets; gaussian: of a Gaussian
        share       of generated points at positive coordinates; between: nearer to 0 than half a mean
        spread      standard deviation along the diagonal within wells, over that of fresh data

    Raises InputError for a weight that is no share. Cost: seconds.
    """
    require(0 < weight < 1, f"weight = {weight}: give a share between 0 and 1")
    rng = np.random.default_rng(seed)
    units = make_computer(NoCouplings(Units(2)), **PLANE)

    def force(number: int) -> np.ndarray:
        sign = np.where(rng.random((number, 1)) < weight, 1.0, -1.0)
        places = sign * MEANS + SPREAD * rng.normal(size=(number, 2))
        return resting_force(places, PLANE["J2"], PLANE["J4"]).astype(np.float32)

    def fresh(key: Key[Array, ""]) -> np.ndarray:
        return np.asarray(noising_start(key, units, jnp.asarray(force(count)), jnp.arange(count)), float)

    table = protocol(units, force(learnt), PLANE_TIMES, segments)
    key = stream(seed, "generation")
    samples = generate(key, control(table), count, PLANE_TIMES, batch=count, film_frames=1)
    generated = samples.visible.astype(float)
    data, second_data = map(fresh, jax.random.split(stream(seed, "data")))
    gaussian = rng.multivariate_normal(data.mean(0), np.cov(data.T), count)

    def along(points: np.ndarray) -> np.ndarray:
        return points.sum(1) / 2**0.5

    def within(points: np.ndarray) -> float:
        place = along(points)
        return float(np.mean([place[place > 0].std(), place[place <= 0].std()]))

    return {
        "distance": sliced_distance(generated, data),
        "floor": sliced_distance(second_data, data),
        "gaussian": sliced_distance(gaussian, data),
        "share": float((along(generated) > 0).mean()),
        "between": float((np.abs(along(generated)) < MEANS / 2**0.5).mean()),
        "spread": within(generated) / within(data),
    }


# --- zeros and ones on 12 x 12 oscillators ------------------------------------------------------------------


def resized(images: Float[np.ndarray, "n height width"], side: int, smooth: bool = False) -> np.ndarray:
    """Square images of another side: by area average, or by bicubic interpolation; float32."""
    how = Image.Resampling.BICUBIC if smooth else Image.Resampling.BOX
    pictures = (Image.fromarray(np.asarray(image, np.float32)) for image in images)
    return np.stack([np.asarray(picture.resize((side, side), how)) for picture in pictures])


def zeros_and_ones(
    seed: int, count: int, segments: int, images: Images, held_out: Images, oscillators: Oscillators
) -> dict:
    """One independent run: train on zeros and ones on 12 x 12 units, generate without a class, evaluate.

    Labels enter only through hidden units, if there are any, and only in training. The shipped classifier
    evaluates samples enlarged to 28 x 28.

        zero, one       shares of these classes; rarer: the smaller share
        sure            share of samples with a probability of 0 or 1 above 0.9
        correlation     mean correlation with the nearest training image; inverted: share nearer to a negative
        clear           share that is sure and has a correlation above 0.7: a negative can be sure too
        size            root mean square of the read-out over that of the imprinted places
        ceiling, noise  shares of held-out digits made small and large again; of the untrained computer

    Cost: seconds.
    """
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(images))[:2000]
    grey = resized(images.images, SIDE).reshape(len(images), -1)[chosen]
    grey = (grey - grey.min()) / np.ptp(grey)
    contrast = oscillators.contrast
    places = np.tanh(contrast * (2 * grey - 1)) / np.tanh(contrast) + oscillators.offset
    wiring = NoCouplings(Units(SIDE * SIDE, oscillators.hidden))
    units = make_computer(wiring, J4=oscillators.J4, kT=oscillators.kT)
    signs = np.resize([1.0, -1.0], oscillators.hidden)
    code = oscillators.code * np.where(images.labels[chosen, None] == 1, signs, -signs)
    force = np.concatenate([resting_force(places, 1.0, oscillators.J4), code], 1).astype(np.float32)
    table = protocol(units, force, oscillators.schedule, segments)
    key = stream(seed, "generation")
    samples = generate(key, control(table), count, oscillators.schedule, film_frames=1)
    idle = generate(key, units, count, oscillators.schedule, film_frames=1)
    real = resized(held_out.images, SIDE).reshape(len(held_out), -1)
    scores = prototype_scores(samples.visible, grey)
    sure = _confidence(samples.visible)[1] > SURE
    return {
        **_shares(samples.visible),
        "clear": float((sure & (scores.best > ALIKE)).mean()),
        "size": float(np.sqrt((samples.visible**2).mean() / (places**2).mean())),
        "correlation": float(scores.best.mean()),
        "inverted": float(np.mean(-scores.correlation.min(1) > scores.best)),
        "ceiling": _shares(real),
        "noise": _shares(idle.visible),
        "heat_kT": float(samples.heat_kT.mean()),
    }


def _confidence(flat: Float[np.ndarray, "n pixels"]) -> tuple[np.ndarray, np.ndarray]:
    """The class that the shipped classifier sees in 12 x 12 images, and the larger probability of 0 and 1."""
    classifier = load_classifier()
    large = resized(np.asarray(flat).reshape(-1, SIDE, SIDE), 28, smooth=True).reshape(len(flat), -1)
    verdict = classifier.classify(large)
    scores = np.asarray(jax.nn.softmax(classifier.network.scores(jnp.asarray(verdict.features)), -1))
    return verdict.label, scores[:, [0, 1]].max(1)


def _shares(flat: Float[np.ndarray, "n pixels"]) -> dict[str, float]:
    """Shares of 12 x 12 images of the class zero, of the class one, and surely of one of the two."""
    label, probability = _confidence(flat)
    zeros, ones = (float(np.mean(label == digit)) for digit in (0, 1))
    sure = float(np.mean(probability > SURE))
    return {"zero": zeros, "one": ones, "sure": sure, "rarer": min(zeros, ones)}
