"""The devices of this process: rows of a batch laid over them, each device with rows of its own."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Shaped


def stacked(pieces: int) -> int:
    """How many of `pieces` equal pieces of work run at once: one on each device, or a single one by itself.

    Never on some of the devices, so that nothing compiles for several numbers of them.
    """
    return len(jax.local_devices()) if pieces > 1 else 1


def spread(rows: Shaped[Array | np.ndarray, "rows ..."], devices: int) -> Shaped[Array, "rows ..."]:
    """`rows` in equal contiguous shares over all `devices` devices of this process, or on one as they are.

    What is computed from them follows: each device runs the program that one device runs on its share alone.
    """
    if devices == 1:
        return jnp.asarray(rows)
    mesh = Mesh(np.array(jax.local_devices()), ("samples",))
    return jax.device_put(rows, NamedSharding(mesh, PartitionSpec("samples")))
