"""Parts of one result brought together: every process sends its own and gets all of them, in order.

Parts are bytes on their way, so that no number changes its type. They travel as one collective over a CPU
device of each process, on the network and not on the accelerators: it works on any of them.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable
from functools import lru_cache
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
_GOES_ON = "what is finished is kept; start all processes again to go on"


class Contribution(NamedTuple):
    """What one process contributes: arrays by name, and a value that JSON can hold."""

    arrays: Arrays
    value: Any = None


def gather(name: str, work: Callable[[], Contribution]) -> list[Contribution]:
    """The parts of all processes in the order of their numbers; this one's is what `work` returns.

    `name` says what is gathered: all processes must be at the same place. An exception in `work` is told to
    the others, which stop too. Arrays keep their bits and types.

    Raises ProcessError if another process failed, is gone, or is at another place.
    Memory: the parts of all processes.
    """
    if process_count() == 1:
        return [work()]
    try:
        part = work()
    except Exception as error:
        # The others would wait for a part that never comes. That all stop is no news here.
        with contextlib.suppress(ProcessError):
            _send(name, json.dumps({"at": name, "failed": str(error) or type(error).__name__}).encode(), b"")
        raise
    # Written from memory as it lies: views must be laid out first.
    arrays = {key: np.require(np.asarray(one), requirements="C") for key, one in part.arrays.items()}
    return _send(name, json.dumps({"at": name, "value": part.value}).encode(), save(arrays))


def first(name: str, work: Callable[[], Any]) -> Any:
    """What `work` returns in process 0, a value that JSON can hold; the others wait for it and do no work.

    Raises what `work` raises, in the others as ProcessError.
    """
    parts = gather(name, lambda: Contribution({}, work() if process_index() == 0 else None))
    return parts[0].value


def from_first(name: str, work: Callable[[], Tree], like: Tree | None = None) -> Tree:
    """The tree of arrays that `work` returns in process 0, bit for bit, in every process.

    like: a tree of the same structure, where only process 0 is to work; without it all work, which costs no
    time if each has cores of its own, and machines that round differently are settled by process 0.
    Raises what `work` raises, in the others as ProcessError.
    """
    if process_count() == 1:
        return work()
    mine: list[Tree] = []

    def part() -> Contribution:
        if process_index() and like is not None:
            return Contribution({})
        mine.append(work())
        return Contribution({} if process_index() else arrays_of(mine[0]))

    sent = gather(name, part)[0].arrays
    if process_index() == 0:
        return mine[0]
    known = mine[0] if like is None else like
    return tree_of(sent, known)


def agree(name: str, value: Any) -> None:
    """ProcessError unless `value`, which JSON can hold, is equal in all processes."""
    if process_count() == 1:
        return
    parts = gather(name, lambda: Contribution({}, value))
    for index, part in enumerate(parts):
        if part.value != parts[0].value:
            raise ProcessError(
                f"process {index} was asked for other {name} than process 0: start all with the same "
                "arguments"
            )


def arrays_of(tree: PyTree, prefix: str = "") -> Arrays:
    """The leaves of a tree as named arrays."""
    return {f"{prefix}{i:05d}": np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(tree))}


def tree_of(arrays: Arrays, like: Tree, prefix: str = "") -> Tree:
    """The tree whose leaves `arrays_of` named, of the structure and the kinds of leaves of `like`."""
    leaves, structure = jax.tree.flatten(like)
    found = [_as(leaf, arrays[f"{prefix}{i:05d}"]) for i, leaf in enumerate(leaves)]
    return jax.tree.unflatten(structure, found)


def _as(leaf: Any, array: np.ndarray) -> Any:
    if isinstance(leaf, jax.Array):
        return jax.numpy.asarray(array, leaf.dtype)
    return array if isinstance(leaf, np.ndarray) else array.item()


def _send(name: str, head: bytes, body: bytes) -> list[Contribution]:
    """All parts, after their lengths are known; ProcessError for one that failed or is elsewhere."""
    message = np.frombuffer(len(head).to_bytes(8, "little") + head + body, np.uint8)
    sizes = _collected(np.frombuffer(message.size.to_bytes(8, "little"), np.uint8))
    sizes = [int.from_bytes(one.tobytes(), "little") for one in sizes]
    padded = np.zeros(_rounded(max(sizes)), np.uint8)
    padded[: message.size] = message
    parts = []
    for index, (row, size) in enumerate(zip(_collected(padded), sizes, strict=True)):
        end = 8 + int.from_bytes(row[:8].tobytes(), "little")
        told = json.loads(row[8:end].tobytes())
        if "failed" in told:
            raise ProcessError(f"process {index} stopped: {told['failed']}")
        if told["at"] != name:
            raise ProcessError(
                f"process {index} is at {told['at']}, process {process_index()} at {name}: start all with "
                "the same command"
            )
        parts.append(Contribution(load(row[end:size].tobytes()), told["value"]))
    return parts


def _rounded(size: int) -> int:
    """Up to three leading bits, so that few lengths are compiled."""
    step = 1 << max(size.bit_length() - 3, 10)
    return -(-size // step) * step


def _collected(row: UInt8[np.ndarray, " bytes"]) -> UInt8[np.ndarray, "processes bytes"]:
    """The rows of all processes, waited for in a thread of its own, so that Ctrl-C is heard meanwhile."""
    result: list[np.ndarray] = []
    failure: list[BaseException] = []

    def wait() -> None:
        try:
            shared = NamedSharding(_mesh(), PartitionSpec("processes"))
            sent = jax.make_array_from_process_local_data(shared, row[None])
            result.append(np.asarray(_to_all(_mesh())(sent).addressable_data(0)))
        except Exception as error:
            failure.append(error)

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(0.2)
    if failure:
        raise ProcessError(f"another process of this run is gone: {_GOES_ON}") from failure[0]
    return result[0]


@lru_cache(1)
def _mesh() -> Mesh:
    """One CPU device of every process, in the order of the processes."""
    by_process: dict[int, Any] = {}
    for device in jax.devices("cpu"):
        by_process.setdefault(device.process_index, device)
    return Mesh(np.array([by_process[index] for index in sorted(by_process)]), ("processes",))


@lru_cache(1)
def _to_all(mesh: Mesh) -> Callable[[jax.Array], jax.Array]:
    return jax.jit(lambda rows: rows, out_shardings=NamedSharding(mesh, PartitionSpec()))
