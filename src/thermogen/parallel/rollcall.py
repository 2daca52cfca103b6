"""All processes found and counted before JAX connects them.

JAX ends a process with a trace where another one is missing, or where the port of the coordinator is taken.
So process 0 first listens there itself, and says in one line who is missing, or comes twice.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import time

from thermogen.errors import InputError

_HELLO = struct.Struct("!4sII")  # a mark, the number of processes, the number of this one
_MARK = b"thmg"
_GO = b"go"


def call_roll(host: str, port: int, count: int, timeout: float) -> None:
    """In process 0: wait at the port until processes 1 .. count - 1 have come, and let all go on.

    Raises InputError if the port is taken, if one comes twice or expects another number, or if some do not
    come.
    """
    here = {}
    deadline = time.monotonic() + timeout
    with contextlib.ExitStack() as opened:
        listening = opened.enter_context(_listening(host, port))
        while len(here) < count - 1:
            missing = ", ".join(str(one) for one in range(1, count) if one not in here)
            try:
                listening.settimeout(max(0.01, min(0.2, deadline - time.monotonic())))
                connection, _ = listening.accept()
            except TimeoutError:
                if time.monotonic() < deadline:
                    continue
                _tell(
                    here.values(),
                    refusal := f"process {missing} of {count} did not come within {timeout:g} s",
                )
                raise InputError(
                    f"{refusal}: start all of them, with this machine as their coordinator at port {port}"
                ) from None
            opened.enter_context(connection)
            connection.settimeout(5)
            hello = _received(connection, _HELLO.size)
            if len(hello) < _HELLO.size or not hello.startswith(_MARK):
                continue  # something else that tries ports
            _, theirs, index = _HELLO.unpack(hello)
            problem = None
            if theirs != count:
                problem = (
                    f"process {index} was started as one of {theirs} processes, process 0 as one of {count}"
                )
            elif index in here or not 0 < index < count:
                problem = f"two processes were started as number {index}"
            if problem is not None:
                _tell([*here.values(), connection], problem)
                raise InputError(f"{problem}: give all the same --processes, and each its own --process-id")
            here[index] = connection
        listening.close()  # free for JAX before the others look for it
        _tell(here.values(), "")


def answer(host: str, port: int, count: int, index: int, timeout: float) -> None:
    """In the others: report to process 0 and wait until all are there.

    Raises InputError if nothing answers within the time, or for what process 0 says is wrong.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            with socket.create_connection(
                (host, port), timeout=max(0.1, deadline - time.monotonic())
            ) as connection:
                connection.sendall(_HELLO.pack(_MARK, count, index))
                reply = _received(connection, 1000)
        except OSError as error:
            if time.monotonic() > deadline:
                raise InputError(
                    f"coordinator {host}:{port} did not answer within {timeout:g} s ({error}): check that "
                    "process 0 runs there and that the port is open to this machine"
                ) from error
            time.sleep(0.1)
            continue
        if reply == _GO:
            return
        if reply:
            raise InputError(f"process 0 stopped: {reply.decode(errors='replace')}")
        if time.monotonic() > deadline:
            raise InputError(
                f"coordinator {host}:{port} closed the connection: check that process 0 of this run is there"
            )
        time.sleep(0.1)  # an earlier run is just closing, or process 0 was stopped


def _listening(host: str, port: int) -> socket.socket:
    """At the loopback address alone if that is the coordinator's, else at every address of this machine."""
    own = {"localhost": "127.0.0.1", "127.0.0.1": "127.0.0.1", "::1": "::1"}
    both = socket.has_dualstack_ipv6()
    place = own.get(host, "::" if both else "0.0.0.0")
    try:
        return socket.create_server(
            (place, port),
            family=socket.AF_INET6 if ":" in place else socket.AF_INET,
            dualstack_ipv6=place == "::" and both,
        )
    except OSError as error:
        raise InputError(
            f"port {port} of the coordinator cannot be used ({error}): choose another one"
        ) from error


def _received(connection: socket.socket, size: int) -> bytes:
    """Up to `size` bytes, until the other side closes or has sent so many."""
    found = b""
    while len(found) < size:
        try:
            more = connection.recv(size - len(found))
        except OSError:
            break
        if not more:
            break
        found += more
    return found


def _tell(connections, problem: str) -> None:
    """Go on, or what is wrong."""
    for connection in connections:
        with contextlib.suppress(OSError):  # one that is gone already is told by its absence
            connection.sendall(problem.encode() or _GO)
            connection.shutdown(socket.SHUT_RDWR)
