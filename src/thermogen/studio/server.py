"""The live page over HTTP: static files, one websocket a visitor, and downloads."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket, WebSocketDisconnect

from thermogen.errors import InputError
from thermogen.studio.downloads import FILES
from thermogen.studio.messages import LONGEST, read
from thermogen.studio.models import Models
from thermogen.studio.session import Session

STATIC = Path(__file__).parent / "static"
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def application(models: Models, hosts: frozenset[str] | None = LOOPBACK) -> Starlette:
    """The web application: `/`, `/static`, `/live` (websocket), `/save/{token}/{file}`, `/status`.

    hosts: accepted host names, None for any. This refuses pages of other sites whose name resolves to this
    machine.
    """
    sessions: dict[str, Session] = {}

    async def page(request: Request) -> Response:
        return FileResponse(STATIC / "index.html")

    async def status(request: Request) -> Response:
        return JSONResponse({"visitors": len(sessions)})

    async def save(request: Request) -> Response:
        session = sessions.get(request.path_params["token"])
        name = request.path_params["file"]
        file = None if session is None or name not in FILES else await session.file(name)
        if file is None:
            return Response("no such page or file: open the studio and save from there\n", 404)
        headers = {"Content-Disposition": f'attachment; filename="{file.name}"'}
        return Response(file.content, media_type=file.kind, headers=headers)

    async def live(socket: WebSocket) -> None:
        if not (_addressed(socket, hosts) and _same_origin(socket)):
            await socket.close(4403)
            return
        await socket.accept()

        async def send(message: str | bytes) -> None:
            await (socket.send_text if isinstance(message, str) else socket.send_bytes)(message)  # pyright: ignore[reportArgumentType]

        session = Session(models, send)
        sessions[session.token] = session
        try:
            async with asyncio.TaskGroup() as group:
                running = group.create_task(session.run(next(iter(models.models))))
                group.create_task(_listen(socket, session, running))
        except* WebSocketDisconnect:
            pass  # the page was closed
        finally:
            del sessions[session.token]

    async def protect(request: Request, follow: Callable[[Request], Awaitable[Response]]) -> Response:
        if not _addressed(request, hosts):
            return Response(f"this server answers to {', '.join(sorted(hosts or ()))} alone\n", 400)
        response = await follow(request)
        response.headers.update(_HEADERS)
        return response

    return Starlette(
        routes=[
            Route("/", page),
            Route("/status", status),
            Route("/save/{token}/{file}", save),
            WebSocketRoute("/live", live),
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        middleware=[Middleware(BaseHTTPMiddleware, dispatch=protect)],
    )


async def _listen(socket: WebSocket, session: Session, running: asyncio.Task[None]) -> None:
    """Pass every valid message to the session; answer the others with an error."""
    try:
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            try:
                command = read(message.get("text") or message.get("bytes"))
            except InputError as error:
                await session.tell_error(str(error))
                continue
            await session.commands.put(command)
    finally:
        running.cancel()


def _addressed(connection: HTTPConnection, hosts: frozenset[str] | None) -> bool:
    """Whether the connection addresses the server by one of its names."""
    return hosts is None or urlsplit(f"//{connection.headers.get('host', '')}").hostname in hosts


def _same_origin(socket: WebSocket) -> bool:
    """Whether the page belongs to this server, not to another site in the same browser."""
    origin = socket.headers.get("origin")
    return origin is None or origin.split("://")[-1] == socket.headers.get("host")


def serve(models: Models, host: str, port: int, ready: Callable[[str], Any]) -> None:
    """Serve until interrupted; `ready(url)` is called once the page can be opened.

    Raises InputError for an address that cannot be used. Port 0 takes any free one.
    """
    import socket as sockets

    import uvicorn

    family = sockets.AF_INET6 if ":" in host else sockets.AF_INET
    listening = sockets.socket(family, sockets.SOCK_STREAM)
    listening.setsockopt(sockets.SOL_SOCKET, sockets.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except (OSError, OverflowError) as error:
        listening.close()
        remedy = "choose another --host or --port"
        raise InputError(f"{host}:{port} cannot be served ({error}): {remedy}") from error
    shown = f"[{host}]" if ":" in host else host
    address = f"http://{shown}:{listening.getsockname()[1]}/"

    class Server(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            if self.started:
                ready(address)

    settings = uvicorn.Config(
        application(models, LOOPBACK if host in LOOPBACK else None),
        log_level="warning",
        ws="websockets-sansio",
        ws_max_size=LONGEST,
        lifespan="off",
        timeout_graceful_shutdown=1,
    )
    with contextlib.suppress(KeyboardInterrupt):  # how the studio is closed
        asyncio.run(Server(settings).serve([listening]))
