"""Work shared by devices and processes: rows of a batch over devices, numbered jobs over processes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Shaped

from thermogen.parallel.exchange import Contribution, first, gather
from thermogen.parallel.group import alone, process_count, process_index


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


def deal(finished: Sequence[bool]) -> list[int]:
    """The numbers of the jobs of this process.

    The processes take the unfinished jobs in turns. Process 0 takes the finished ones, which cost almost
    nothing. So the rest of an interrupted run is distributed evenly.
    """
    unfinished = [number for number, done in enumerate(finished) if not done]
    own = unfinished[process_index() :: process_count()]
    if process_index() == 0:
        own += [number for number, done in enumerate(finished) if done]
    return sorted(own)


def jobs(
    name: str,
    count: int,
    work: Callable[[int], Any],
    *,
    finished: Callable[[int], bool] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Any]:
    """`work(number)` for numbers 0 .. count - 1, in order; one process does each of them.

    `work` returns what JSON can hold. `finished(number)`: whether a result is stored, so that `work` only
    reads it; process 0 looks. `progress(done, number)` follows each job; `done` estimates the number of
    finished jobs of all processes. Raises what `work` raises, in the other processes as ProcessError.
    """
    stored = first(f"{name}: kept", lambda: [bool(finished and finished(i)) for i in range(count)])
    own = deal(stored)

    def contribution() -> Contribution:
        results: dict[str, Any] = {}
        for number in own:
            with alone():
                results[str(number)] = work(number)
            if progress is not None:
                progress(count * len(results) // len(own), number)
        return Contribution({}, results)

    results = {
        number: result for share in gather(name, contribution) for number, result in share.value.items()
    }
    return [results[str(number)] for number in range(count)]
