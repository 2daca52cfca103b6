"""Mean and covariance at the appointed time, matched in closed form."""

import jax
import numpy as np
import pytest

import thermogen as tg
from thermogen.couplings import NoCouplings
from thermogen.studies.conditional_settings import ConditionalSettings
from thermogen.training import solve_matched

UNITS, KT, T_F = 6, 1e-4, 1.5


@pytest.fixture(scope="module")
def problem():
    """Nearly linear units, and states of two conditions with means and covariances of their own."""
    rng = np.random.default_rng(0)
    kind = np.repeat([0, 1], 400)
    spread = rng.normal(size=(2, UNITS, 3)) * np.array([0.08, 0.04, 0.02])
    mean = 0.1 * rng.normal(size=(2, UNITS))
    states = mean[kind] + np.einsum("pk,pik->pi", rng.normal(size=(800, 3)), spread[kind])
    units = tg.make_computer(NoCouplings(tg.Units(UNITS)), J2=1.0, J4=1e-4, kT=KT)
    return units, states.astype(np.float32), kind


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("modes", [3, UNITS])
def test_samples_have_the_moments_that_were_asked_for(problem, share, modes):
    units, states, kind = problem
    basis = np.linalg.qr(np.random.default_rng(1).normal(size=(UNITS, UNITS)))[0][:, :modes]
    table = solve_matched(units, states, kind, np.array([4, 9]), basis, T_F, share=share)
    assert table.labels == (4, 9)
    assert np.allclose(table.weights, 0.5)
    count = 4000
    conditions = np.repeat([0, 1], count)
    schedule = tg.Schedule(t_f=T_F, dt=0.002)
    samples = tg.generate(jax.random.key(0), table, 2 * count, schedule, conditions=conditions, batch=2000,
                          film_frames=1)  # fmt: skip
    for number in (0, 1):
        mine, x = states[kind == number].astype(float), samples.x[conditions == number].astype(float)
        rest = (mine - mine.mean(0)) @ basis
        wanted = share * basis @ (rest.T @ rest / len(rest)) @ basis.T + KT / 2 * np.eye(UNITS)
        # Euler's growth differs from the exact one by mu^2 s^2 dt t_f of the variance: below 3 % here.
        error = np.sqrt(np.diag(wanted) / count)
        assert np.all(np.abs(x.mean(0) - mine.mean(0)) < 4.5 * error + 0.01 * np.abs(mine.mean(0)) + 2e-4)
        found = np.cov(x, rowvar=False)
        noise = np.sqrt((np.outer(np.diag(wanted), np.diag(wanted)) + wanted**2) / count)
        assert np.all(np.abs(found - wanted) < 4.5 * noise + 0.03 * np.abs(wanted).max())


def test_without_spread_the_device_needs_no_couplings(problem):
    """A share of 0 asks for thermal variance alone, which uncoupled units have: M = 0, b gives the mean."""
    units, states, kind = problem
    table = solve_matched(units, states, kind, np.array([4, 9]), np.eye(UNITS), T_F, share=0.0)
    assert np.allclose(table.mixing, 0, atol=1e-5)
    mean = np.stack([states[kind == number].mean(0) for number in (0, 1)])
    assert np.allclose(table.bias[:, 0], -2 * mean / (1 - np.exp(-2 * T_F)), atol=1e-5)


def test_what_cannot_be_matched_is_refused(problem):
    units, states, kind = problem
    basis, classes = np.eye(UNITS), np.array([4, 9])
    with pytest.raises(tg.InputError, match=r"share = 1\.5 of the variance: give a number from 0 to 1"):
        solve_matched(units, states, kind, classes, basis, T_F, share=1.5)
    unlike = tg.make_computer(NoCouplings(tg.Units(UNITS)), J2=np.linspace(1, 2, UNITS))
    with pytest.raises(tg.InputError, match="units are not alike"):
        solve_matched(unlike, states, kind, classes, basis, T_F)
    with pytest.raises(tg.InputError, match=r"match = 2: give the share"):
        ConditionalSettings(match=2)
    with pytest.raises(tg.InputError, match=r"refine = 3 with matched moments"):
        ConditionalSettings.of(match=0.3, refine=3)
    with pytest.raises(tg.InputError, match=r"match = 0\.3 with label units"):
        ConditionalSettings.of(match=0.3, label_units=True)
    assert ConditionalSettings.of(match=0.3).amplitude == 0.1
    assert ConditionalSettings.of(match=None, modes=None) == ConditionalSettings()
