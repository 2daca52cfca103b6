"""All processes connect to process 0 before JAX connects them.

JAX ends a process with a trace if another process is missing, or if the port of the coordinator is in use. So
process 0 first listens there itself, and names the process that is missing or comes twice in one line.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Iterable

from thermogen.errors import InputError

_HELLO = struct.Struct("!4sII")  # a mark, the number of processes, the number of the sender
_MARK = b"thmg"
_GO = b"go"


def call_roll(host: str, port: int, count: int, timeout: float) -> None:
    """In process 0: wait at the port until processes 1 .. count - 1 have come, then let all continue.

    Raises InputError if the port is in use, if a process comes twice or expects another number of processes,
    or if some do not come.
    """
    present = {}
    deadline = time.monotonic() + timeout
    with contextlib.ExitStack() as opened:
        listening = opened.enter_context(_listening(host, port))
        while len(present) < count - 1:
            listening.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                connection, _ = listening.accept()
            except TimeoutError:
                missing = ", ".join(str(index) for index in range(1, count) if index not in present)
                problem = f"process {missing} of {count} did not come within {timeout:g} s"
                _reply(present.values(), problem)
                raise InputError(
                    f"{problem}: start all of them, with this machine as their coordinator at port {port}"
                ) from None
            opened.enter_context(connection)
            connection.settimeout(5)
            hello = _received(connection, _HELLO.size)
            if len(hello) < _HELLO.size or not hello.startswith(_MARK):
                continue  # another program that tries ports
            _, theirs, index = _HELLO.unpack(hello)
            problem = ""
            if theirs != count:
                problem = (
                    f"process {index} was started as one of {theirs} processes, process 0 as one of {count}"
                )
            elif index in present or not 0 < index < count:
                problem = f"two processes were started as number {index}"
            if problem:
                _reply([*present.values(), connection], problem)
                raise InputError(f"{problem}: give all the same --processes, and each its own --process-id")
            present[index] = connection
        listening.close()  # free for JAX before the others connect to it
        _reply(present.values())


def answer(host: str, port: int, count: int, index: int, timeout: float) -> None:
    """In the other processes: report to process 0 and wait until all have come.

    Raises InputError if nothing answers within the time, or for the problem that process 0 reports.
    """
    deadline = time.monotonic() + timeout
    problem = ""
    while not problem or time.monotonic() <= deadline:
        try:
            remaining = max(0.1, deadline - time.monotonic())
            with socket.create_connection((host, port), timeout=remaining) as connection:
                connection.sendall(_HELLO.pack(_MARK, count, index))
                reply = _received(connection, 1000)
        except OSError as error:
            problem = (
                f"did not answer within {timeout:g} s ({error}): check that process 0 runs there and that "
                "the port is open to this machine"
            )
        else:
            if reply == _GO:
                return
            if reply:
                raise InputError(f"process 0 stopped: {reply.decode(errors='replace')}")
            problem = "closed the connection: check that process 0 of this run is there"
        time.sleep(0.1)  # process 0 may not listen yet, or an earlier run is just closing
    raise InputError(f"coordinator {host}:{port} {problem}")


def _listening(host: str, port: int) -> socket.socket:
    """At the loopback address if that is the coordinator's, else at every address of this machine."""
    loopback = {"localhost": "127.0.0.1", "127.0.0.1": "127.0.0.1", "::1": "::1"}
    dual = socket.has_dualstack_ipv6()
    address = loopback.get(host, "::" if dual else "0.0.0.0")
    try:
        return socket.create_server(
            (address, port),
            family=socket.AF_INET6 if ":" in address else socket.AF_INET,
            dualstack_ipv6=address == "::" and dual,
        )
    except OSError as error:
        raise InputError(
            f"port {port} of the coordinator cannot be used ({error}): choose another one"
        ) from error


def _received(connection: socket.socket, size: int) -> bytes:
    """Up to `size` bytes, until the other side closes or has sent so many."""
    message = b""
    with contextlib.suppress(OSError):
        while len(message) < size and (more := connection.recv(size - len(message))):
            message += more
    return message


def _reply(connections: Iterable[socket.socket], problem: str = "") -> None:
    """Send the problem, or the word to continue."""
    for connection in connections:
        with contextlib.suppress(OSError):  # a process that has gone needs no answer
            connection.sendall(problem.encode() or _GO)
            connection.shutdown(socket.SHUT_RDWR)
