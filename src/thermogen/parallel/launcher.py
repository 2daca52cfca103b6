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

_GRACE = 10.0  # seconds that processes get to stop by themselves
_SAID = (2, 130)  # exit codes of processes that have said in a line why they stop


def launch(
    words: Sequence[str], processes: int, *, devices: int | None = None, cores: int | None = None
) -> int:
    """Run `thermogen` with these words as several processes: see `launch_python`."""
    return launch_python(["-m", "thermogen", *words], processes, devices=devices, cores=cores)


def launch_python(
    words: Sequence[str], processes: int, *, devices: int | None = None, cores: int | None = None
) -> int:
    """Run Python with these words as several processes of this machine, and return the exit code.

    What runs joins the others by `thermogen.start()` and ends with `thermogen.parallel.leave`.
    devices: virtual CPU devices of each process. cores: how many each may use, with no overlap. Only process
    0 is heard; of another one that fails, what it said last. Ctrl-C is passed on. If one dies the others are
    stopped, and a line says which one and how to go on.

    Raises InputError for numbers below 1 and for more cores than there are.
    """
    for name, value in (("processes", processes), ("devices", devices), ("cores", cores)):
        require(value is None or value >= 1, f"{name} = {value}: give 1 or more")
    pinned = None if cores is None else _cores(processes, cores)
    environment = os.environ | {COORDINATOR: f"127.0.0.1:{_free_port()}", PROCESSES: str(processes)}
    if devices is not None:
        flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}"
        environment["XLA_FLAGS"] = flags.strip()
    running = []
    before = signal.signal(signal.SIGTERM, _told_to_end)
    try:
        for index in range(processes):
            running.append(_Process(words, environment, index, pinned[index] if pinned else None))
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


def _told_to_end(number: int, frame: object) -> None:
    raise SystemExit(128 + number)


class _Process:
    """A process, and the end of what it says on standard error unless it is the first."""

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
            os.sched_setaffinity(self.popen.pid, cores)  # its threads come later and inherit it
        self.index = index
        self.said: deque[bytes] = deque(maxlen=40)
        self.reader = threading.Thread(target=self._listen, daemon=True)
        self.reader.start()

    def _listen(self) -> None:
        for line in self.popen.stderr or ():
            self.said.append(line)

    def last_words(self) -> str:
        """The end of what it said, marked with its number."""
        self.reader.join(1)
        return "".join(f"[{self.index}] {line.decode(errors='replace')}" for line in self.said)


def _watch(running: list[_Process]) -> int:
    """Wait until all have ended, or one has failed."""
    while True:
        codes = [one.popen.poll() for one in running]
        if any(codes) or None not in codes:
            break
        time.sleep(0.05)
    # Of several that have failed already, those that say why may do so because of one that cannot.
    failures = [one for one in running if one.popen.returncode]
    if not failures:
        return 0
    failed = next((one for one in failures if one.popen.returncode not in _SAID), failures[0])
    code = failed.popen.returncode
    if code in _SAID:
        _wait(running, _GRACE)  # the others have met the same, or been told
        if running[0].popen.poll() not in _SAID:
            sys.stderr.write(failed.last_words())
        return code
    _stop(running, signal.SIGTERM)
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
    sys.stderr.write(failed.last_words())
    print(
        f"thermogen: process {failed.index} of {len(running)} {how}, so the others were stopped; what is "
        "finished is kept: give the same command to go on, with --resume if it has that option",
        file=sys.stderr,
    )
    return 1


def _stop(running: list[_Process], sign: signal.Signals) -> None:
    """Send a signal to all that still run and wait for their end; what does not stop is killed."""
    for one in running:
        if one.popen.poll() is None:
            one.popen.send_signal(sign)
    if not _wait(running, _GRACE):
        for one in running:
            one.popen.kill()
        _wait(running, _GRACE)


def _wait(running: list[_Process], seconds: float) -> bool:
    """Whether all have ended within the time."""
    deadline = time.monotonic() + seconds
    while None in [one.popen.poll() for one in running]:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _cores(processes: int, each: int) -> list[set[int]]:
    """The cores of every process."""
    require(hasattr(os, "sched_setaffinity"), "cores cannot be given on this system: leave --cores out")
    known = sorted(os.sched_getaffinity(0))
    require(
        processes * each <= len(known),
        f"{processes} processes of {each} cores need {processes * each}, this one may use {len(known)}: give "
        "fewer processes or cores",
    )
    return [set(known[index * each : (index + 1) * each]) for index in range(processes)]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]
