"""The devices of this process: rows of a batch laid over them, each device with rows of its own."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Shaped


def stacked(pieces: int) -> int:
    """How many of `pieces` equal pieces of work run at once: one on each device of this process."""
    return max(1, min(pieces, len(jax.local_devices())))


def spread(rows: Shaped[Array | np.ndarray, "rows ..."], devices: int) -> Shaped[Array, "rows ..."]:
    """`rows` in equal contiguous shares over the first `devices` devices of this process.

    What is computed from them follows: each device runs the program that one device runs on its share alone.
    On one device the array stays as it is, and programs are those of an ordinary array.
    """
    if devices == 1:
        return jnp.asarray(rows)
    mesh = Mesh(np.array(jax.local_devices()[:devices]), ("samples",))
    return jax.device_put(rows, NamedSharding(mesh, PartitionSpec("samples")))
