// The official SignalR client, told what to do by one JSON line on stdin and reporting in JSON lines.
//
// In: { url, token, protocol, negotiate, contracts, ticks, reconnect }
// Out: { event: "connected" | "reconnected" | "closed" | "done", ... }
// It subscribes to trades, quotes and depth of the contracts, calls a method that does not exist, counts
// ticks until it has as many as it was told to expect, and stops when a second line comes on stdin.

import { createInterface } from "node:readline";
import { HttpTransportType, HubConnectionBuilder, LogLevel } from "@microsoft/signalr";
import { MessagePackHubProtocol } from "@microsoft/signalr-protocol-msgpack";

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const task = JSON.parse((await lines.next()).value);
const say = (event, fields = {}) => process.stdout.write(JSON.stringify({ event, ...fields }) + "\n");

const logged = [];
let builder = new HubConnectionBuilder()
  .withUrl(task.url, {
    accessTokenFactory: () => task.token,
    transport: HttpTransportType.WebSockets,
    skipNegotiation: !task.negotiate,
  })
  .configureLogging({
    log: (level, message) => level >= LogLevel.Warning && logged.push(message),
  });
if (task.protocol === "messagepack") builder = builder.withHubProtocol(new MessagePackHubProtocol());
if (task.reconnect) builder = builder.withAutomaticReconnect([0, 0, 0]);
const connection = builder.build();

const counts = { GatewayTrade: 0, GatewayQuote: 0, GatewayDepth: 0 };
const first = {};
const merged = {};
let ticks = 0;
let enough;
const received = new Promise((resolve) => (enough = resolve));
for (const target of Object.keys(counts)) {
  connection.on(target, (contract, data) => {
    const held = Array.isArray(data) ? data.length : 1;
    counts[target] += held;
    ticks += held;
    first[target] ??= [contract, data];
    if (target === "GatewayQuote") merged[contract] = { ...merged[contract], ...data };
    if (ticks >= task.ticks) enough();
  });
}
connection.onreconnected(() => say("reconnected"));
connection.onclose((error) => say("closed", { error: error?.message ?? null }));

await connection.start();
say("connected", { id: connection.connectionId ?? null });
for (const contract of task.contracts) {
  for (const kind of ["Trades", "Quotes", "MarketDepth"]) {
    await connection.invoke(`SubscribeContract${kind}`, contract);
  }
}
const refusal = await connection.invoke("NoSuchMethod", 1).then(
  () => null,
  (error) => error.message,
);
if (task.ticks > 0) await received;
say("done", { counts, ticks, first, merged, refusal, logged });
await lines.next();
await connection.stop();
process.exit(0);
