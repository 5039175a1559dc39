"""`python -m benches.sender COUNT PER_MESSAGE CPU`: a hub that sends ready-made frames as fast as a client takes them.

For each connection it answers the handshake and every subscription, waits for a line on standard
input, sends `COUNT` trade records, `PER_MESSAGE` in each WebSocket message, and after them one message
of the target `Done`. All frames are built before the first connection, so that the client is what
is measured. Its first line of output is its port.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.sync.server import ServerConnection, serve

from .harness import pin
from .market import records

_DONE = b'{"type":1,"target":"Done","arguments":[]}\x1e'


def main() -> None:
    """Serve until standard input ends."""
    count, per_message, cpu = (int(text) for text in sys.argv[1:4])
    pin(cpu)
    payloads = [*records(count)[0].payloads(per_message), _DONE]
    wire = b"".join(Frame(Opcode.TEXT, payload).serialize(mask=False) for payload in payloads)

    def handle(connection: ServerConnection) -> None:
        messages = _records(connection)
        next(messages)
        connection.send("{}\x1e")
        for message in messages:
            if "invocationId" in message:
                answer = {"type": 3, "invocationId": message["invocationId"]}
                connection.send(json.dumps(answer) + "\x1e")
            if message.get("target") == "SubscribeContractTrades":
                sys.stdin.readline()
                connection.socket.sendall(wire)

    with serve(handle, "127.0.0.1", 0, compression=None, max_size=None) as server:
        print(server.socket.getsockname()[1], flush=True)
        server.serve_forever()


def _records(connection: ServerConnection) -> Iterator[dict[str, object]]:
    try:
        for payload in connection:
            text = payload if isinstance(payload, str) else payload.decode()
            yield from (json.loads(record) for record in text.split("\x1e") if record)
    except ConnectionClosed:
        return


if __name__ == "__main__":
    main()
