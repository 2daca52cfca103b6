"""Starting JAX's distributed runtime: from explicit values, from variables, or from what a cluster sets."""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import contextmanager
from typing import Any, NoReturn

import numpy as np

from thermogen.errors import InputError, require
from thermogen.parallel.group import CLUSTER, COORDINATOR, PROCESS_ID, PROCESSES, join, process_count
from thermogen.parallel.rollcall import answer, call_roll

CLUSTERS = ("auto", "slurm", "k8s", "ompi", "mpi4py", "cloud_tpu")
"""What can say who this process is: the first that is found, or one by name."""
_PATIENCE = "xla_cpu_collective_timeout_seconds"  # of processes for one that is not there yet: half an hour
TIMEOUT = 300.0
"""Seconds that processes wait for each other at the start."""


def join_processes(
    coordinator: str | None = None,
    processes: int | None = None,
    process_id: int | None = None,
    *,
    cluster: str | None = None,
    timeout: float = TIMEOUT,
) -> None:
    """Join the other processes of a run, before any other use of JAX; nothing happens for one process alone.

    coordinator: 'HOST:PORT' of process 0, free there and open to the others. processes: how many;
    process_id: the number of this one, from 0. What is left out is read from THERMOGEN_COORDINATOR,
    THERMOGEN_PROCESSES and THERMOGEN_PROCESS_ID. cluster: instead of these, 'auto' or the name of what
    started the processes (`CLUSTERS`), whose own variables are then read by JAX. timeout: seconds to wait
    for the others.

    From then on `generate`, `train_exact` and `share_jobs` share their work out over the processes. All
    must make the same calls.
    Raises InputError for values that are missing or cannot be, for a coordinator that does not answer, for
    processes that do not come, and where no cluster is found.
    """
    require(timeout > 0, f"timeout = {timeout}: give a positive number of seconds")
    require(process_count() == 1, f"this process already is one of {process_count()}: start once")
    named = os.environ.get(CLUSTER) or None
    if named is not None and (cluster or (coordinator, processes, process_id) == (None, None, None)):
        cluster = named if cluster in (None, "auto") else cluster
    if cluster is not None:
        given = [
            name
            for name, one in zip(_NAMES, (coordinator, processes, process_id), strict=True)
            if one is not None
        ]
        require(
            not given, f"{' and '.join(given)} beside a cluster: the cluster says it; give one of the two"
        )
        _join_cluster(cluster, timeout)
        return
    found = _values(coordinator, processes, process_id)
    if found is None:
        return
    host, port, count, index = found
    if index == 0:
        call_roll(host, port, count, timeout)
    else:
        answer(host, port, count, index, timeout)
    own = host in ("localhost", "127.0.0.1", "::1")  # then nothing listens to the network
    bind = f"{'[::1]' if host == '::1' else '127.0.0.1'}:{port}" if own else None
    _initialize(
        timeout,
        coordinator_address=f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
        num_processes=count,
        process_id=index,
        coordinator_bind_address=bind,
        cluster_detection_method="deactivate",
    )
    join(index, count)
    _meet()


def leave(code: int) -> NoReturn:
    """End this process with an exit code: 0 once all others are at their end too, another one at once.

    After a failure nothing waits for processes that may be gone.
    """
    import jax

    from thermogen.errors import ProcessError
    from thermogen.parallel.exchange import Contribution, gather

    if code == 0:
        try:
            gather("the end", lambda: Contribution({}))
            jax.distributed.shutdown()
        except ProcessError as error:
            print(f"thermogen: {error}", file=sys.stderr)
            code = 2
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


_NAMES = ("coordinator", "processes", "process id")


def _values(
    coordinator: str | None, processes: int | None, process_id: int | None
) -> tuple[str, int, int, int] | None:
    """Host, port, number of processes and the number of this one; None for one process alone."""
    coordinator = coordinator or os.environ.get(COORDINATOR) or None
    processes = _number(PROCESSES) if processes is None else processes
    process_id = _number(PROCESS_ID) if process_id is None else process_id
    values = (coordinator, processes, process_id)
    if all(value is None for value in values):
        return None
    require(processes is None or processes >= 1, f"processes = {processes}: give 1 or more")
    if processes == 1 and process_id in (None, 0):
        return None
    missing = [
        f"{name} (--{name.replace(' ', '-')} or {variable})"
        for name, variable, value in zip(_NAMES, (COORDINATOR, PROCESSES, PROCESS_ID), values, strict=True)
        if value is None
    ]
    require(not missing, f"to join several processes, give {' and '.join(missing)} too")
    assert coordinator is not None
    assert processes is not None
    assert process_id is not None
    require(
        0 <= process_id < processes,
        f"process id = {process_id} of {processes} processes: give a number from 0 to {processes - 1}",
    )
    host, colon, port = coordinator.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    require(
        bool(colon and host) and port.isdecimal() and 0 < int(port) < 65536,
        f"coordinator {coordinator!r} is no HOST:PORT: write e.g. 10.0.0.1:29500, the address of process 0",
    )
    return host, int(port), processes, process_id


def _number(variable: str) -> int | None:
    text = os.environ.get(variable)
    if not text:
        return None
    require(text.strip().isdecimal(), f"{variable} = {text!r}: give a whole number")
    return int(text)


def _join_cluster(cluster: str, timeout: float) -> None:
    require(cluster in CLUSTERS, f"unknown cluster {cluster!r}: choose one of {', '.join(CLUSTERS)}")
    try:
        _initialize(timeout, cluster_detection_method=None if cluster == "auto" else cluster)
    except (
        ValueError,
        KeyError,
    ) as error:  # JAX misses a value: nothing that it knows has started this process
        what = "no cluster" if cluster == "auto" else f"no cluster {cluster!r}"
        raise InputError(
            f"{what} was found ({error}): start by srun, mpirun or an indexed job, or give --coordinator, "
            "--processes and --process-id"
        ) from error
    import jax

    join(jax.process_index(), jax.process_count())
    if process_count() > 1:
        _meet()


def _initialize(timeout: float, **values: Any) -> None:
    """`jax.distributed.initialize`, so that a signal to stop ends a process at once."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # what goes wrong is said by us, in one line
    import jax

    flags = os.environ.get("XLA_FLAGS", "")
    if _PATIENCE not in flags and jax.__version_info__ >= (0, 10):  # older ones end at an unknown flag
        os.environ["XLA_FLAGS"] = f"{flags} --{_PATIENCE}={30 * 86400}".strip()
    require(not jax.distributed.is_initialized(), "JAX is distributed already: leave that to thermogen.start")
    # Otherwise JAX keeps SIGTERM to itself, as a sign that the machine is to be taken away.
    jax.config.update("jax_enable_preemption_service", False)
    try:
        jax.distributed.initialize(initialization_timeout=max(1, round(timeout)), **values)
    except RuntimeError as error:
        raise InputError("JAX is in use already: join the processes before anything else uses it") from error


def _meet() -> None:
    """First exchanges, of processes and of devices: the library beneath reports them on standard output."""
    import jax

    from thermogen.parallel.devices import spread
    from thermogen.parallel.exchange import Contribution, gather

    with _quiet():
        gather("the start", lambda: Contribution({}))
        devices = jax.local_device_count()
        jax.block_until_ready(spread(np.zeros(devices, np.float32), devices).sum())


@contextmanager
def _quiet():
    """Nothing that compiled code writes reaches standard output."""
    compiled = ctypes.CDLL(None)  # its output waits in a buffer of its own, apart from Python's
    sys.stdout.flush()
    compiled.fflush(None)
    kept, nothing = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    try:
        yield
    finally:
        compiled.fflush(None)
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nothing)
