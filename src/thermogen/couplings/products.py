"""The matrix product of the time loop, in the precision in which its matrix is held."""

from __future__ import annotations

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float


def product(x: Float[Array, "*batch m"], matrix: Float[Array, "m n"]) -> Float[Array, "*batch n"]:
    """x matrix, summed in the type of x. A bfloat16 matrix makes it a product of bfloat16 numbers.

    bfloat16 has 8 bits of mantissa: x and matrix are each rounded to 1 part in 256, their products are exact
    and are added in the type of x. Matrix units (AMX, tensor cores) do this several times faster.
    """
    if matrix.dtype == x.dtype:
        return x @ matrix
    dimensions = (((x.ndim - 1,), (0,)), ((), ()))
    return lax.dot_general(
        x.astype(matrix.dtype), matrix, dimensions, preferred_element_type=jnp.dtype(x.dtype)
    )
