"""Thermal noise with a contract: the noise of sample n at step k depends on (key, n, k) alone.

Per row (sample, step) a strong hash (threefry) makes a 64-bit row key; per unit a 32-bit integer hash of
(unit, row key) makes one word, and one branch-free formula turns the word into a Gaussian. Everything per
unit is 32-bit multiply, shift, xor, multiply-add and one square root, so that XLA fuses it into the time
step and vectorises it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, Key, UInt32

# Fitted constants; the distribution that they give is tested against the exact one (tests/test_noise.py).
# log2(1 + m) = m R(m) on [0, 1), R(1) = 1: largest error 2.2e-6.
_LOG2 = (1.442544943204532, -0.7181452515339906, 0.4575491739457913)
_LOG2 += (-0.2779053001588232, 0.12179787148647625, -0.0258414369439858)
# |x| = z P(z), z = sqrt(L + c) - sqrt(c), where the two-sided tail P(|X| > |x|) is 2**-L: largest error
# 2.2e-6 exp(x^2 / 4), at most 3e-3 (weighted by the root of the density: equally visible everywhere).
_TAIL = (1.6555296379336695, -0.22564545962741067, 0.09702725013685462, -0.03302967305669228)
_TAIL += (0.007760620061252885, -0.0010705483572072362, 6.36629332515436e-05)
_SHIFT = 0.9078650036867223
# Signed words beyond _THIRD or -1 - _THIRD: 1/6 of all on each side, to 1e-10; the size makes the variance 1.
_THIRD = np.int32(2**32 // 3)
_THREE_POINT_SIZE = float(np.sqrt(2**32 / (2 * (2**31 - 1 - int(_THIRD)))))


def sample_keys(key: Key[Array, ""], samples: Int[Array, " batch"]) -> Key[Array, " batch"]:
    """One key per sample number, the same whatever the batch in which the sample is computed."""
    return jax.vmap(jax.random.fold_in, (None, 0))(key, samples)


def standard_normal(
    keys: Key[Array, " batch"], step: Int[Array, ""] | int, units: int, dtype
) -> Float[Array, "batch units"]:
    """Independent N(0, 1) increments of `units` units at `step`, one row per sample key.

    Evidence and limits: docs/physics.md, "Noise".
    float32 and narrower: 31 bits, |x| <= 6.2. float64: 53 bits, |x| <= 8.3; equal to the float32 noise
    within 2e-5 for |x| < 3 (2e-3 at 5).
    """
    return gaussian(row_words(keys, step), units, dtype)


class RowWords(NamedTuple):
    """64 strongly mixed bits per row (sample, step), as two columns of words."""

    offset: UInt32[Array, "batch 1"]
    stride: UInt32[Array, "batch 1"]


def gaussian(rows: RowWords, units: int, dtype, first: int = 0) -> Float[Array, "batch units"]:
    """N(0, 1) for `units` units from `first` on."""
    dtype = jnp.zeros((), dtype).dtype  # float64 is float32 where JAX runs without 64-bit types
    word = _words(rows.offset, rows.stride, units, first)
    if dtype == jnp.float64:
        return _normal_of_two(word, _words(rows.stride, rows.offset, units, first))
    return _normal(word).astype(dtype)


def three_point(rows: RowWords, units: int, dtype, first: int = 0) -> Float[Array, "batch units"]:
    """Weak noise: 0 with probability 2/3, +-sqrt(3) with 1/6 each, from the words behind `gaussian`.

    Its moments 1 to 5 are those of N(0, 1) (to 1e-9). Methods up to weak order 2 need no others: the order of
    the bias of averages in dt is the same.
    Source: Kloeden & Platen, Numerical Solution of SDEs (1992), section 14.2.
    """
    dtype = jnp.zeros((), dtype).dtype
    signed = lax.bitcast_convert_type(_words(rows.offset, rows.stride, units, first), jnp.int32)
    size = jnp.asarray(_THREE_POINT_SIZE, dtype)
    return jnp.where(signed > _THIRD, size, jnp.where(~signed > _THIRD, -size, jnp.zeros((), dtype)))


NOISES: dict[str, Callable[..., Float[Array, "batch units"]]] = {
    "gaussian": gaussian,
    "three-point": three_point,
}
"""Noise of a row of units by the name used on the command line."""


def standard_uniform(
    keys: Key[Array, " batch"], step: Int[Array, ""] | int, units: int, dtype
) -> Float[Array, "batch units"]:
    """Independent uniform numbers in [0, 1), 24 bits each, from the words behind `standard_normal`."""
    word = _words(*row_words(keys, step), units)
    return (word >> 8).astype(dtype) * 2.0**-24


def row_words(keys: Key[Array, " batch"], step: Int[Array, ""] | int) -> RowWords:
    """The bits from which the noise of every sample at `step` is hashed."""
    folded = jax.vmap(jax.random.fold_in, (0, None))(keys, step)
    bits = jax.random.key_data(folded)
    if bits.shape[-1] != 2:  # not threefry: let the generator itself draw
        bits = jax.vmap(lambda key: jax.random.bits(key, (2,), jnp.uint32))(folded)
    return RowWords(bits[:, :1], bits[:, 1:])


def _words(
    offset: UInt32[Array, "batch 1"], stride: UInt32[Array, "batch 1"], units: int, first: int = 0
) -> UInt32[Array, "batch units"]:
    """One 32-bit word per unit: lowbias32 (C. Wellons) of an arithmetic progression keyed by the row."""
    unit = lax.broadcasted_iota(jnp.uint32, (1, units), 1) + jnp.uint32(first)
    x = unit * (stride | 1) + offset
    x = (x ^ (x >> 16)) * jnp.uint32(0x7FEB352D)
    x = (x ^ (x >> 15)) * jnp.uint32(0x846CA68B)
    return x ^ (x >> 16)


def _normal(word: UInt32[Array, "*shape"]) -> Float[Array, "*shape"]:
    """N(0, 1) in float32 from one word: the top bit is the sign, the others the two-sided tail."""
    signed = lax.bitcast_convert_type(word, jnp.int32)
    tail = ((signed ^ (signed >> 31)) | 1).astype(jnp.float32)  # P(|X| > |x|) 2^31, odd, in (0, 2^31]
    bits = lax.bitcast_convert_type(tail, jnp.int32)
    mantissa = lax.bitcast_convert_type((bits & 0x7FFFFF) | 0x3F800000, jnp.float32) - np.float32(1)
    exponent = np.float32(31 + 127 + _SHIFT) - (bits >> 23).astype(jnp.float32)
    z = jnp.sqrt(exponent - mantissa * _estrin(_LOG2, mantissa)) - np.float32(np.sqrt(_SHIFT))
    size = lax.bitcast_convert_type(z * _estrin(_TAIL, z), jnp.int32)
    return lax.bitcast_convert_type(size ^ (signed & jnp.int32(-(2**31))), jnp.float32)


def _normal_of_two(word: UInt32[Array, "*shape"], fine: UInt32[Array, "*shape"]) -> Float[Array, "*shape"]:
    """N(0, 1) in float64: the bits of `word` as in `normal`, continued by 21 bits of `fine`."""
    signed = lax.bitcast_convert_type(word, jnp.int32)
    rest = ((fine >> 11).astype(jnp.int32).astype(jnp.float64) + 0.5) * 2.0**-21
    tail = ((signed ^ (signed >> 31)).astype(jnp.float64) + rest) * 2.0**-31  # exact, in (0, 1)
    size = np.sqrt(2.0) * lax.erf_inv(1 - tail)
    return jnp.where(signed < 0, -size, size)


def _estrin(coefficients: tuple[float, ...], x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """A polynomial of degree 4 to 7, lowest first, as a tree: shorter chains of dependent operations."""
    c = [np.float32(coefficient) for coefficient in coefficients]
    pairs = [c[i] + c[i + 1] * x if i + 1 < len(c) else c[i] for i in range(0, len(c), 2)]
    square = x * x
    low, high = pairs[0] + pairs[1] * square, pairs[2]
    if len(pairs) > 3:
        high = high + pairs[3] * square
    return low + high * (square * square)
