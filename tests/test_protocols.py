"""Driving protocols: what two Gaussians and 12 x 12 digits need, with stated errors."""

import jax.numpy as jnp
import numpy as np
import pytest

import thermogen as tg
from thermogen.studies.claims.driven import KINDS
from thermogen.studies.claims.protocols import (
    resized,
    resting_force,
    sliced_distance,
    two_gaussians,
    zeros_and_ones,
)

COUNT = 3000


def test_a_unit_rests_where_its_force_puts_it():
    places = np.array([-0.8, 0.0, 0.3])
    units = tg.make_computer(
        tg.couplings.NoCouplings(tg.Units(3)), J4=3.0, bias=-resting_force(places, 1.0, 3.0)
    )
    assert np.abs(units.gradient(jnp.asarray(places, jnp.float32))).max() < 1e-6


def test_the_sliced_distance_of_a_shift_is_its_mean_projection():
    points = np.random.default_rng(0).normal(size=(500, 2))
    assert sliced_distance(points, points) == 0
    angles = np.pi * np.arange(16) / 16
    moved = points + np.array([0.3, 0.0])
    assert sliced_distance(points, moved) == pytest.approx(0.3 * np.abs(np.cos(angles)).mean())


def test_images_are_reduced_by_area():
    image = np.zeros((1, 24, 24))
    image[0, :2, :2] = 4.0
    small = resized(image, 12)
    assert small[0, 0, 0] == pytest.approx(4.0)
    assert small.sum() * 4 == pytest.approx(image.sum())
    assert resized(small, 28, smooth=True).shape == (1, 28, 28)


def test_only_a_driven_protocol_tells_the_weights_of_two_gaussians():
    driven, constant = (two_gaussians(7, COUNT, segments, 0.3) for segments in (10, 1))
    error = np.sqrt(0.3 * 0.7 / COUNT)
    # Linear forces cannot follow the share exactly: ten segments leave a bias of 0.06, a constant one 0.2.
    assert abs(driven["share"] - 0.3) < 0.06 + 4 * error
    assert constant["share"] > 0.3 + 10 * error
    assert driven["distance"] < 0.5 * constant["distance"]
    assert driven["distance"] < 0.3 * driven["gaussian"]
    for one in (driven, constant):
        assert one["between"] < 0.02  # two wells, nothing between
    assert driven == two_gaussians(7, COUNT, 10, 0.3)
    with pytest.raises(tg.InputError, match="weight = 1"):
        two_gaussians(7, COUNT, 10, 1.0)


def test_one_protocol_without_labels_draws_zeros_and_ones():
    split = tg.load_split()
    learnt, held = (one.choose([0, 1], each=20) for one in (split.training, split.held_out))
    found = zeros_and_ones(3, 100, 10, learnt, held, KINDS["driven"][1])
    error = np.sqrt(0.25 / 100)
    assert found["rarer"] > 0.1  # both kinds
    assert found["zero"] + found["one"] > found["noise"]["zero"] + found["noise"]["one"] + 4 * error
    assert found["sure"] > found["noise"]["sure"] + 4 * error
    assert found["ceiling"]["sure"] > 0.85
    assert found["correlation"] > 0.6


def test_hidden_units_that_knew_the_class_keep_every_digit_upright_and_whole():
    # Labels while learning only. Without the quartic walls the same protocol runs away in one direction.
    segments, coded = KINDS["coded"]
    split = tg.load_split()
    learnt, held = (one.choose([0, 1], each=20) for one in (split.training, split.held_out))
    walls, none = (
        zeros_and_ones(3, 100, segments, learnt, held, coded._replace(J4=J4)) for J4 in (coded.J4, 0.0)
    )
    assert walls["rarer"] > 0.5 - 4 * np.sqrt(0.25 / 100)
    assert walls["clear"] > none["clear"] + 4 * np.sqrt(0.25 / 100)
    assert walls["inverted"] == 0
    assert none["inverted"] > 0.2
    assert abs(walls["size"] - 1) < 0.2
    assert none["size"] > 5
