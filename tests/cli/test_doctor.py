"""`tickwire doctor`: every fault is found at its step, named and advised; no secret is ever shown."""

from __future__ import annotations

import contextlib
import json
import re
import ssl
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import tickwire.cli
from canary import listen
from hubs import BINARY, UNIT_S, Connection, HandmadeHub, frame, free_port, no_leftovers, park
from tickwire import sim
from tickwire.cli.advice import ADVICE, NO_DATA, REQUEST_FAILED, reaction
from tickwire.cli.checkup import Checkup, Order
from tickwire.errors import ConfigError
from tickwire.policy import TABLE
from tickwire.route import Route

SYMBOL = "CON.F.US.EP.Z26"
LIMIT_S = 1.0 * UNIT_S
QUOTES = "SubscribeContractQuotes"
KEY = "canary-key-3f77"
LOGIN = "/api/Auth/loginKey"
SEARCH = "/api/Contract/search"

Doctor = Callable[..., dict[str, Any]]


@pytest.fixture
def hub() -> Iterator[sim.Hub]:
    """A hub that streams nothing by itself."""
    with sim.Hub(rest=sim.Rest(users={"me": KEY})) as hub:
        yield hub


@pytest.fixture
def doctor(monkeypatch, capsys, caplog) -> Doctor:
    """Runs the command in this process, for a token; returns its object, and checks what it printed."""
    listen(caplog)

    def run(
        *arguments: object, token: str | None = None, status: int, peer_stays: bool = False
    ) -> dict[str, Any]:
        secrets = [KEY]
        if token is not None:
            monkeypatch.setenv("CANARY", token)
            arguments = (*arguments, "--token-env", "CANARY")
            secrets.append(token)
        # What a hub in this process keeps open is not the command's.
        with contextlib.nullcontext() if peer_stays else no_leftovers():
            assert tickwire.cli.main(["doctor", *map(str, arguments), "--json"]) == status
        printed = capsys.readouterr()
        assert printed.err == ""
        (line,) = printed.out.splitlines()
        for secret in secrets:
            assert secret not in line
            assert secret not in caplog.text
        found: dict[str, Any] = json.loads(line)
        assert found["ok"] is (status == 0)
        return found

    return run


def base(hub: sim.Hub) -> str:
    return hub.url.removesuffix("/hubs/market")


def outcomes(found: dict[str, Any]) -> dict[str, str]:
    return {step["name"]: step["outcome"] for step in found["steps"]}


def fails_at(found: dict[str, Any], name: str, fault: str) -> dict[str, Any]:
    """The one step that failed, with all before it done and none after it tried."""
    steps = found["steps"]
    at = [step["name"] for step in steps].index(name)
    assert [step["outcome"] for step in steps[:at]] == ["ok"] * at, steps
    failed: dict[str, Any] = steps[at]
    assert (failed["outcome"], failed["fault"]) == ("failed", fault)
    assert failed["advice"].endswith(ADVICE[fault])
    assert failed["took_s"] >= 0
    for step in steps[at + 1 :]:
        assert (step["outcome"], step["text"]) == ("skipped", f"not tried, since {name} failed")
        assert step["took_s"] is None
    return failed


@pytest.mark.parametrize("protocol", [None, "json", "messagepack"])
def test_all_is_well(doctor: Doctor, protocol: str | None) -> None:
    chosen = ("--protocol", protocol) if protocol is not None else ()
    with sim.Hub(sim.Market([SYMBOL], rate=200)) as hub:
        found = doctor("--hub", hub.url, "--symbol", SYMBOL, *chosen, token=hub.token(), status=0)
    assert found["hub"] == hub_name(hub)
    names = ["token", "resolve", "connect", "upgrade", "handshake"]
    names += ["subscribe trades", "subscribe quotes", "data", "ping"]
    assert outcomes(found) == dict.fromkeys(names, "ok")
    assert all(step["took_s"] > 0 and step["fault"] is step["advice"] is None for step in found["steps"])
    assert [info.protocol for info in hub.connections] == [protocol or "json"]
    said = {step["name"]: step["text"] for step in found["steps"]}
    assert said["handshake"].endswith(
        "MessagePack protocol" if protocol == "messagepack" else "JSON protocol"
    )
    assert re.search(r"the first ticks came: [1-9]\d* accepted$", said["data"])


def hub_name(hub: sim.Hub) -> str:
    return hub.url.replace("http:", "ws:")


def test_with_negotiate(hub: sim.Hub, doctor: Doctor) -> None:
    found = doctor("--hub", hub.url, "--negotiate", token=hub.token(), status=0)
    assert list(outcomes(found))[:5] == ["token", "resolve", "connect", "negotiate", "upgrade"]
    assert [request.path for request in hub.requests] == ["/hubs/market/negotiate", "/hubs/market"]


def test_through_a_gateway_it_finds_a_contract_by_itself(doctor: Doctor, monkeypatch) -> None:
    monkeypatch.setenv("TOPSTEP_USER", "me")
    monkeypatch.setenv("TOPSTEP_KEY", KEY)
    with sim.Hub(sim.Market([SYMBOL], rate=200), rest=sim.Rest(users={"me": KEY})) as hub:
        found = doctor("--hub", hub.url, "--api", base(hub), status=0)
    assert list(outcomes(found))[:3] == ["login", "contract", "token"]
    assert set(outcomes(found).values()) == {"ok"}
    assert SYMBOL in found["steps"][1]["text"]


def test_without_a_symbol_data_is_left_out(hub: sim.Hub, doctor: Doctor) -> None:
    found = doctor("--hub", hub.url, token=hub.token(), status=0)
    skipped = [name for name, outcome in outcomes(found).items() if outcome == "skipped"]
    assert skipped == ["subscribe trades", "subscribe quotes", "data"]


FAULTS = [
    (sim.Drop("fin", at="connect"), {}, "upgrade", "link lost"),
    (sim.NoAnswer("connect"), {}, "upgrade", "timed out"),
    (sim.Refuse(401), {}, "upgrade", "unauthorized"),
    (sim.Refuse(403), {}, "upgrade", "unauthorized"),
    (sim.Refuse(404), {}, "upgrade", "not found"),
    (sim.Refuse(429), {}, "upgrade", "rate limited"),
    (sim.Refuse(503), {}, "upgrade", "server error"),
    (sim.Refuse(307, headers=(("location", "https://elsewhere/"),)), {}, "upgrade", "refused"),
    (sim.WrongAccept(), {}, "upgrade", "violation"),
    (sim.NoAnswer("upgrade"), {}, "upgrade", "timed out"),
    (sim.HandshakeError("no"), {}, "handshake", "handshake refused"),
    (sim.NoAnswer("handshake"), {}, "handshake", "timed out"),
    (sim.Drop("fin", at="handshake"), {}, "handshake", "link lost"),
    (sim.CloseFrame(1008), {"at": "upgrade"}, "handshake", "unauthorized"),
    (sim.SubscribeError("no"), {"only": QUOTES}, "subscribe quotes", "subscribe refused"),
    (sim.NoAnswer("subscribe"), {}, "subscribe trades", "timed out"),
    (sim.Drop("fin", at="subscribe"), {"only": QUOTES}, "subscribe quotes", "link lost"),
]


@pytest.mark.parametrize(("fault", "where", "name", "kind"), FAULTS, ids=lambda value: str(value))
def test_a_fault_is_found_at_its_step(
    hub: sim.Hub, doctor: Doctor, fault: sim.Fault, where: dict[str, Any], name: str, kind: str
) -> None:
    hub.fault(fault, **where)
    found = doctor("--hub", hub.url, "--symbol", SYMBOL, "--limit", LIMIT_S, token=hub.token(), status=1)
    fails_at(found, name, kind)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (sim.Refuse(401, at="negotiate"), "unauthorized"),
        (sim.Refuse(200, at="negotiate", body=b"{}"), "negotiate refused"),
        (sim.NoAnswer("negotiate"), "timed out"),
    ],
    ids=["401", "empty", "no answer"],
)
def test_faults_of_negotiate(hub: sim.Hub, doctor: Doctor, fault: sim.Fault, kind: str) -> None:
    hub.fault(fault)
    found = doctor("--hub", hub.url, "--negotiate", "--limit", LIMIT_S, token=hub.token(), status=1)
    fails_at(found, "negotiate", kind)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (sim.CloseMessage("later", allow_reconnect=True), "closed, come back"),
        (sim.CloseMessage("never"), "closed"),
        (sim.Logout(), "logged out"),
    ],
    ids=["come back", "closed", "logged out"],
)
def test_a_hub_that_ends_it_behind_the_last_subscription(
    hub: sim.Hub, doctor: Doctor, fault: sim.Fault, kind: str
) -> None:
    hub.fault(fault, at="subscribe", only=QUOTES)
    found = doctor("--hub", hub.url, "--symbol", SYMBOL, "--limit", LIMIT_S, token=hub.token(), status=1)
    # Its last words can come in one read with the answer.
    (failed,) = [step for step in found["steps"] if step["outcome"] == "failed"]
    assert failed["name"] in ("subscribe quotes", "data")
    fails_at(found, failed["name"], kind)


def test_a_quiet_market_is_told_from_a_dead_link(hub: sim.Hub, doctor: Doctor) -> None:
    arguments = ("--hub", hub.url, "--symbol", SYMBOL, "--limit", LIMIT_S)
    found = doctor(*arguments, token=hub.token(), status=1)
    quiet, ping = found["steps"][-2:]
    assert (quiet["name"], quiet["outcome"], quiet["fault"]) == ("data", "failed", NO_DATA)
    assert quiet["advice"] == ADVICE[NO_DATA]
    assert (ping["name"], ping["outcome"]) == ("ping", "ok")
    hub.fault(sim.Silence(), at="subscribe", only=QUOTES)
    found = doctor(*arguments, token=hub.token(), status=1)
    assert [(step["outcome"], step["fault"]) for step in found["steps"][-2:]] == [
        ("failed", NO_DATA),
        ("failed", "silent"),
    ]


def test_retry_after_is_passed_on(hub: sim.Hub, doctor: Doctor) -> None:
    hub.fault(sim.Refuse(429, headers=(("retry-after", "3"),)))
    found = doctor("--hub", hub.url, token=hub.token(), status=1)
    assert fails_at(found, "upgrade", "rate limited")["advice"].startswith(
        "The server asks to wait for 3 s. "
    )


def test_an_expired_token_is_seen_before_the_hub_refuses_it(hub: sim.Hub, doctor: Doctor) -> None:
    found = doctor("--hub", hub.url, token=hub.token(ttl_s=-600), status=1)
    assert "expired 10 minutes ago" in found["steps"][0]["text"]
    fails_at(found, "upgrade", "unauthorized")


def test_a_hub_that_speaks_json_only(doctor: Doctor) -> None:
    def script(connection: Connection) -> None:
        connection.upgrade()
        connection.read_frame()
        connection.send(frame(b'{"error":"The protocol \'messagepack\' is not supported."}\x1e'))
        connection.serve()

    with HandmadeHub(script) as hub:
        found = doctor("--hub", hub.url, "--protocol", "messagepack", token="t0ken", status=1)
    failed = fails_at(found, "handshake", "handshake refused")
    assert "'messagepack' is not supported" in failed["text"]
    assert "--protocol" in failed["advice"]


def test_a_hub_that_speaks_no_messagepack_after_all(doctor: Doctor) -> None:
    def script(connection: Connection) -> None:
        connection.upgrade()
        connection.read_frame()
        connection.send(frame(b"{}\x1e" + b"\xff" * 6, BINARY))
        connection.serve()

    with HandmadeHub(script) as hub:
        found = doctor("--hub", hub.url, "--protocol", "messagepack", token="t0ken", status=1)
    fails_at(found, "handshake", "violation")


def test_what_cannot_be_looked_at_leaves_nothing_open(hub: sim.Hub) -> None:
    """A fault that is none of the link's: the engine does not take this text for a contract."""
    order = Order(route=Route.of(hub.url), symbol="\0")
    with no_leftovers(), pytest.raises(ConfigError, match="symbol"):
        list(Checkup(order).steps())
    with no_leftovers():
        # Looked at no further than the first step.
        steps = Checkup(order).steps()
        assert next(steps).name == "token"
        steps.close()
        # And not at all.
        Checkup(order).steps()


# The way to the hub


def test_nobody_listens(doctor: Doctor) -> None:
    found = doctor("--hub", f"http://127.0.0.1:{free_port()}/hubs/market", token="t0ken", status=1)
    fails_at(found, "connect", "unreachable")


def test_no_such_host(doctor: Doctor) -> None:
    found = doctor("--hub", "https://tickwire.invalid/hubs/market", "--limit", 5, token="t0ken", status=1)
    fails_at(found, "resolve", "not resolved")


def test_a_certificate_that_nobody_knows(doctor: Doctor, authority) -> None:
    def ended(connection: object) -> None:
        raise AssertionError("the client must not go on")

    server: ssl.SSLContext = authority[0]
    with HandmadeHub(ended, tls=server) as hub:
        found = doctor("--hub", hub.url, token="t0ken", status=1)
    fails_at(found, "connect", "not trusted")


@pytest.mark.parametrize(
    ("answer", "kind"),
    [("407 Proxy Authentication Required", "proxy refused"), (None, "proxy")],
    ids=["407", "no answer"],
)
def test_faults_of_a_proxy(doctor: Doctor, answer: str | None, kind: str) -> None:
    def script(connection: Any) -> None:
        connection.read_request()
        if answer is None:
            park(connection)
            return
        connection.send(f"HTTP/1.1 {answer}\r\n\r\n".encode())

    with HandmadeHub(script) as proxy:
        found = doctor(
            *("--hub", "https://example.invalid/hubs/market", "--limit", LIMIT_S),
            *("--proxy", f"http://user:{KEY}@127.0.0.1:{proxy.port}"),
            token="t0ken",
            status=1,
            peer_stays=answer is None,
        )
    fails_at(found, "connect", kind)


# The gateway


@pytest.mark.parametrize(
    ("fault", "only", "name", "kind"),
    [
        (sim.refusal(3), LOGIN, "login", "login refused"),
        (sim.Refuse(503, at="rest"), LOGIN, "login", "login failed"),
        (sim.NoAnswer("rest"), LOGIN, "login", "timed out"),
        (sim.refusal(1), SEARCH, "contract", REQUEST_FAILED),
    ],
    ids=["refused", "503", "no answer", "search"],
)
def test_faults_of_a_gateway(
    hub: sim.Hub, doctor: Doctor, monkeypatch, fault: sim.Fault, only: str, name: str, kind: str
) -> None:
    monkeypatch.setenv("ME", "me")
    monkeypatch.setenv("MINE", KEY)
    hub.fault(fault, only=only)
    arguments = ("--hub", hub.url, "--api", base(hub), "--user-env", "ME", "--key-env", "MINE")
    found = doctor(*arguments, "--limit", LIMIT_S, status=1, peer_stays=isinstance(fault, sim.NoAnswer))
    fails_at(found, name, kind)


# What is said


def test_every_fault_of_the_table_has_its_advice() -> None:
    assert set(ADVICE) == {rule.fault for rule in TABLE} | {NO_DATA, REQUEST_FAILED}
    assert all(text.endswith((".", "?")) for text in ADVICE.values())


def test_what_a_client_does_by_itself() -> None:
    said = {rule.fault: reaction(rule) for rule in TABLE}
    assert said["login refused"] == said["not found"] == "a client gives up at once"
    assert said["unauthorized"] == "a client tries again after growing pauses with a new token, 4 times"
    assert said["degraded"] == "a client tries again at once"
    assert said["rate limited"] == "a client tries again after long pauses"


@pytest.mark.parametrize(
    "make",
    [
        sim.HandshakeError,
        sim.SubscribeError,
        lambda token: sim.Refuse(401, headers=(("x-token", token),), body=token.encode()),
    ],
    ids=["handshake", "subscribe", "upgrade"],
)
def test_a_hub_that_echoes_the_token(hub: sim.Hub, doctor: Doctor, make: Callable[[str], Any]) -> None:
    token = hub.token()
    hub.fault(make(token))
    doctor("--hub", hub.url, "--symbol", SYMBOL, token=token, status=1)


def test_lines_for_people(hub: sim.Hub, monkeypatch, capsys) -> None:
    monkeypatch.setenv("CANARY", hub.token())
    hub.fault(sim.Refuse(404))
    assert tickwire.cli.main(["doctor", "--hub", hub.url, "--token-env", "CANARY"]) == 1
    lines = capsys.readouterr().out.splitlines()
    (at,) = [number for number, line in enumerate(lines) if line.startswith("failed  upgrade")]
    assert "404 Not Found" in lines[at]
    assert lines[at + 1].strip() == f"try: {ADVICE['not found']}"
    assert lines[at + 2].strip() == "by itself: a client gives up at once"
    assert lines[-1] == "failed: upgrade"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "--hub: got none"),
        (["--hub", "http://example.com/hubs/market"], "would send the token in clear text"),
        (["--hub", "http://127.0.0.1/x", "--streams", "news"], "streams: got 'news'"),
        (["--hub", "http://127.0.0.1/x", "--token-env", "NO_SUCH_VARIABLE"], "NO_SUCH_VARIABLE is not set"),
        (["--api", "http://127.0.0.1:1", "--user-env", "NO_SUCH_VARIABLE"], "NO_SUCH_VARIABLE is not set"),
    ],
)
def test_wrong_options(arguments: list[str], sentence: str, capsys) -> None:
    assert tickwire.cli.main(["doctor", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert sentence in printed.err
    assert len(printed.err.splitlines()) == 1
