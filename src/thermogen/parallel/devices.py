"""The devices of this process: the rows of a batch in equal shares over them."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Shaped


def stacked(pieces: int) -> int:
    """How many of `pieces` equal pieces of work run at once: one on each device, or a single one.

    Never on a part of the devices, so that nothing compiles for other numbers of devices.
    """
    return len(jax.local_devices()) if pieces > 1 else 1


def spread(rows: Shaped[Array | np.ndarray, "rows ..."], devices: int) -> Shaped[Array, "rows ..."]:
    """`rows` in equal contiguous shares over all `devices` devices of this process, or on one as they are.

    Computations on them follow: each device runs the program that one device runs for its share alone.
    """
    if devices == 1:
        return jnp.asarray(rows)
    mesh = Mesh(np.array(jax.local_devices()), ("samples",))
    return jax.device_put(rows, NamedSharding(mesh, PartitionSpec("samples")))
