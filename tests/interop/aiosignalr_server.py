"""aiosignalr's server, told what to send by one JSON line on stdin and reporting in JSON lines.

In: { token, script: { method: { contract: [[target, argument, ...], ...] } } }, then lines "drop" and
"stop". Out: { event: "listening", url }, { event: "upgraded", negotiated } for every connection, and
{ event: "called", method, contract } for every call of a method that is in the script.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from aiohttp import web
from aiosignalr.server import Hub, SignalRServer


def say(event: str, **fields: Any) -> None:
    print(json.dumps({"event": event, **fields}), flush=True)


def hub_of(script: dict[str, dict[str, list[list[Any]]]], connected: list[Hub]) -> type[Hub]:
    """A hub that has the methods of the script."""

    async def on_connected(self: Hub) -> None:
        connected.append(self)

    def method(name: str) -> Any:
        async def call(self: Hub, contract: str) -> None:
            say("called", method=name, contract=contract)
            for target, *arguments in script[name][contract]:
                await self.clients.caller.send(target, *arguments)

        return call

    return type("Scripted", (Hub,), {"on_connected": on_connected} | {name: method(name) for name in script})


async def main() -> None:
    loop = asyncio.get_running_loop()
    task = json.loads(await loop.run_in_executor(None, sys.stdin.readline))
    connected: list[Hub] = []
    server = SignalRServer(hub_of(task["script"], connected))

    @web.middleware
    async def gate(request: web.Request, handler: Any) -> web.StreamResponse:
        if request.headers.get("Authorization") != f"Bearer {task['token']}":
            raise web.HTTPUnauthorized
        if "Upgrade" in request.headers:
            say("upgraded", negotiated="id" in request.query)
        return await handler(request)

    application = server.create_application(path="/hub")
    application.middlewares.append(gate)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0]
    say("listening", url=f"http://{host}:{port}/hub")
    while (await loop.run_in_executor(None, sys.stdin.readline)).strip() == "drop":
        await connected[-1].context.close(1001, "dropped")
    await runner.cleanup()


asyncio.run(main())
