"""Contributions to one result: every process sends its own and receives all of them, in order.

Contributions travel as bytes, so that no number changes its type. They travel in one collective over a CPU
device of each process, on the network and not on the accelerators. It works with any accelerator.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from concurrent.futures import Future, wait
from functools import lru_cache
from threading import Thread
from typing import Any, NamedTuple, TypeVar

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import PyTree, UInt8
from safetensors.numpy import load, save

from thermogen.errors import ProcessError
from thermogen.parallel.group import process_count, process_index

Arrays = dict[str, np.ndarray]
Tree = TypeVar("Tree")
_HOW_TO_CONTINUE = "what is finished is kept; start all processes again to go on"


class Contribution(NamedTuple):
    """The contribution of one process: arrays by name, and a value that JSON can hold."""

    arrays: Arrays
    value: Any = None


def gather(name: str, work: Callable[[], Contribution]) -> list[Contribution]:
    """The contributions of all processes in the order of their numbers; `work` returns that of this process.

    `name` says what is gathered: all processes must be at the same place. An exception in `work` stops the
    others too. Arrays keep their bits and types.

    Raises ProcessError if another process failed, is gone, or is at another place.
    Memory: the contributions of all processes.
    """
    if process_count() == 1:
        return [work()]
    try:
        contribution = work()
    except Exception as error:
        # The others wait for this contribution. That all of them stop is not the error to report here.
        with contextlib.suppress(ProcessError):
            _send(name, json.dumps({"at": name, "failed": str(error) or type(error).__name__}).encode(), b"")
        raise
    # safetensors writes the memory as it is: views must be laid out first.
    arrays = {key: np.require(array, requirements="C") for key, array in contribution.arrays.items()}
    return _send(name, json.dumps({"at": name, "value": contribution.value}).encode(), save(arrays))


def first(name: str, work: Callable[[], Any]) -> Any:
    """The JSON value that `work` returns in process 0; the others wait for it and do no work.

    Raises what `work` raises, in the others as ProcessError.
    """
    return gather(name, lambda: Contribution({}, work() if process_index() == 0 else None))[0].value


def from_first(name: str, work: Callable[[], Tree], like: Tree | None = None) -> Tree:
    """The tree of arrays that `work` returns in process 0, bit for bit, in every process.

    like: a tree of the same structure; only process 0 then works. Without it all processes work, which costs
    no time if each has its own cores, and process 0 decides between different roundings.
    Raises what `work` raises, in the others as ProcessError.
    """
    if process_count() == 1:
        return work()
    own: list[Tree] = []

    def contribution() -> Contribution:
        if process_index() and like is not None:
            return Contribution({})
        own.append(work())
        return Contribution({} if process_index() else arrays_of(own[0]))

    arrays = gather(name, contribution)[0].arrays
    if process_index() == 0:
        return own[0]
    return tree_of(arrays, own[0] if like is None else like)


def agree(name: str, value: Any) -> None:
    """ProcessError unless `value`, which JSON can hold, is equal in all processes."""
    if process_count() == 1:
        return
    values = [contribution.value for contribution in gather(name, lambda: Contribution({}, value))]
    for index, theirs in enumerate(values):
        if theirs != values[0]:
            raise ProcessError(
                f"process {index} has other {name} than process 0: start all with the same arguments"
            )


def arrays_of(tree: PyTree, prefix: str = "") -> Arrays:
    """The leaves of a tree as named arrays."""
    return {f"{prefix}{i:05d}": np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(tree))}


def tree_of(arrays: Arrays, like: Tree, prefix: str = "") -> Tree:
    """The tree whose leaves `arrays_of` named, of the structure and the kinds of leaves of `like`."""
    leaves, structure = jax.tree.flatten(like)
    values = [_as(leaf, arrays[f"{prefix}{i:05d}"]) for i, leaf in enumerate(leaves)]
    return jax.tree.unflatten(structure, values)


def _as(leaf: Any, array: np.ndarray) -> Any:
    if isinstance(leaf, jax.Array):
        return jax.numpy.asarray(array, leaf.dtype)
    return array if isinstance(leaf, np.ndarray) else array.item()


def _send(name: str, head: bytes, body: bytes) -> list[Contribution]:
    """All contributions, after their lengths; ProcessError for a process that failed or is elsewhere."""
    message = np.frombuffer(len(head).to_bytes(8, "little") + head + body, np.uint8)
    lengths = _collected(np.frombuffer(message.size.to_bytes(8, "little"), np.uint8))
    sizes = [int.from_bytes(length.tobytes(), "little") for length in lengths]
    padded = np.zeros(_rounded(max(sizes)), np.uint8)
    padded[: message.size] = message
    contributions = []
    for index, (row, size) in enumerate(zip(_collected(padded), sizes, strict=True)):
        end = 8 + int.from_bytes(row[:8].tobytes(), "little")
        header = json.loads(row[8:end].tobytes())
        if "failed" in header:
            raise ProcessError(f"process {index} stopped: {header['failed']}")
        if header["at"] != name:
            raise ProcessError(
                f"process {index} is at {header['at']}, process {process_index()} at {name}: start all with "
                "the same command"
            )
        contributions.append(Contribution(load(row[end:size].tobytes()), header["value"]))
    return contributions


def _rounded(size: int) -> int:
    """Up to three leading bits, so that few lengths are compiled."""
    step = 1 << max(size.bit_length() - 3, 10)
    return -(-size // step) * step


def _collected(row: UInt8[np.ndarray, " bytes"]) -> UInt8[np.ndarray, "processes bytes"]:
    """The rows of all processes. A daemon thread waits for them, so that Ctrl-C interrupts this one."""
    rows: Future[np.ndarray] = Future()

    def collect() -> None:
        try:
            shared = NamedSharding(_mesh(), PartitionSpec("processes"))
            sent = jax.make_array_from_process_local_data(shared, row[None])
            rows.set_result(np.asarray(_to_all(_mesh())(sent).addressable_data(0)))
        except Exception as error:
            rows.set_exception(error)

    Thread(target=collect, daemon=True).start()
    while not wait([rows], 0.2).done:
        pass
    if rows.exception() is not None:
        raise ProcessError(f"another process of this run is gone: {_HOW_TO_CONTINUE}") from rows.exception()
    return rows.result()


@lru_cache(1)
def _mesh() -> Mesh:
    """One CPU device of every process, in the order of the processes."""
    by_process = {device.process_index: device for device in reversed(jax.devices("cpu"))}
    return Mesh(np.array([by_process[index] for index in sorted(by_process)]), ("processes",))


@lru_cache(1)
def _to_all(mesh: Mesh) -> Callable[[jax.Array], jax.Array]:
    return jax.jit(lambda rows: rows, out_shardings=NamedSharding(mesh, PartitionSpec()))
