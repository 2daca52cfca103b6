"""Several processes of one command on this machine: started, watched and stopped together."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence

from thermogen.errors import require
from thermogen.parallel.group import COORDINATOR, PROCESS_ID, PROCESSES

_GRACE = 10.0  # seconds in which processes may stop by themselves
_EXPLAINED = (2, 130)  # exit codes of processes that have printed why they stop


def launch(
    words: Sequence[str], processes: int, *, devices: int | None = None, cores: int | None = None
) -> int:
    """Run `thermogen` with these words as several processes: see `launch_python`."""
    return launch_python(["-m", "thermogen", *words], processes, devices=devices, cores=cores)


def launch_python(
    words: Sequence[str], processes: int, *, devices: int | None = None, cores: int | None = None
) -> int:
    """Run Python with these words as several processes of this machine, and return the exit code.

    The program joins the processes by `join_processes` and ends with `thermogen.parallel.leave`.
    devices: virtual CPU devices of each process. cores: cores of each process, without overlap. Only the
    output of process 0 is shown, and the last lines of another process that fails. Ctrl-C goes to all
    processes. If one dies, the others are stopped, and a line names it and how to continue.

    Raises InputError for numbers below 1 and for more cores than there are.
    """
    for name, value in (("processes", processes), ("devices", devices), ("cores", cores)):
        require(value is None or value >= 1, f"{name} = {value}: give 1 or more")
    pinned = [None] * processes if cores is None else _cores(processes, cores)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = os.environ | {COORDINATOR: f"127.0.0.1:{port}", PROCESSES: str(processes)}
    if devices is not None:
        flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}"
        environment["XLA_FLAGS"] = flags.strip()
    running: list[_Process] = []
    before = signal.signal(signal.SIGTERM, _exit)
    try:
        for index, own in enumerate(pinned):
            running.append(_Process(words, environment, index, own))
        return _watch(running)
    except KeyboardInterrupt:
        _stop(running, signal.SIGINT)
        return 130
    except SystemExit:
        _stop(running, signal.SIGTERM)
        raise
    finally:
        signal.signal(signal.SIGTERM, before)
        _stop(running, signal.SIGKILL)


def _exit(number: int, frame: object) -> None:
    raise SystemExit(128 + number)


class _Process:
    """A process, and its last lines on standard error unless it is the first."""

    def __init__(self, words: Sequence[str], environment: dict[str, str], index: int, cores: set[int] | None):
        # In a session of its own: a terminal's Ctrl-C reaches the launcher alone, and each process once.
        self.popen = subprocess.Popen(
            [sys.executable, *words],
            env=environment | {PROCESS_ID: str(index)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if index else None,
            stderr=subprocess.PIPE if index else None,
            start_new_session=True,
        )
        if cores is not None:
            os.sched_setaffinity(self.popen.pid, cores)  # its threads start later and inherit it
        self.index = index
        self.lines: deque[bytes] = deque(maxlen=40)
        self.reader = threading.Thread(target=lambda: self.lines.extend(self.popen.stderr or ()), daemon=True)
        self.reader.start()

    def last_lines(self) -> str:
        """The last lines, marked with the number of the process."""
        self.reader.join(1)
        return "".join(f"[{self.index}] {line.decode(errors='replace')}" for line in self.lines)


def _watch(running: list[_Process]) -> int:
    """Wait until all have ended, or one has failed."""
    while True:
        codes = [process.popen.poll() for process in running]
        if any(codes) or None not in codes:
            break
        time.sleep(0.05)
    failures = [process for process in running if process.popen.returncode]
    if not failures:
        return 0
    # A process that explains its end may only have lost another one, which cannot explain it.
    failed = next(
        (process for process in failures if process.popen.returncode not in _EXPLAINED), failures[0]
    )
    code = failed.popen.returncode
    if code in _EXPLAINED:
        _wait(running)  # the others stop for the same reason
        if running[0].popen.poll() not in _EXPLAINED:
            sys.stderr.write(failed.last_lines())
        return code
    _stop(running, signal.SIGTERM)
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
    sys.stderr.write(failed.last_lines())
    print(
        f"thermogen: process {failed.index} of {len(running)} {how}, so the others were stopped; what is "
        "finished is kept: give the same command to go on, with --resume if it has that option",
        file=sys.stderr,
    )
    return 1


def _stop(running: list[_Process], sign: signal.Signals) -> None:
    """Send a signal to all that run and wait for their end; kill those that do not stop."""
    for process in running:
        process.popen.send_signal(sign)
    if not _wait(running):
        for process in running:
            process.popen.kill()
        _wait(running)


def _wait(running: list[_Process]) -> bool:
    """Whether all end within the time."""
    deadline = time.monotonic() + _GRACE
    try:
        for process in running:
            process.popen.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return False
    return True


def _cores(processes: int, cores: int) -> list[set[int]]:
    """The cores of every process."""
    require(hasattr(os, "sched_setaffinity"), "cores cannot be given on this system: leave --cores out")
    usable = sorted(os.sched_getaffinity(0))
    require(
        processes * cores <= len(usable),
        f"{processes} processes of {cores} cores need {processes * cores}, this one may use {len(usable)}: "
        "give fewer processes or cores",
    )
    return [set(usable[index * cores : (index + 1) * cores]) for index in range(processes)]
