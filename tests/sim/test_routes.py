"""The seam on which REST sits: routes for POST, their faults and their place in the log."""

from __future__ import annotations

import json

import httpx
import pytest

from tickwire import sim
from tickwire.sim.routes import Answer, Posted, json_answer


def routed(hub: sim.Hub) -> list[tuple[Posted, bytes]]:
    """Give the hub a route that echoes, and a list of what it gets."""
    calls: list[tuple[Posted, bytes]] = []

    def echo(request: Posted, body: bytes) -> Answer:
        calls.append((request, body))
        return json_answer({"got": json.loads(body or b"null")}, 207)

    hub._core.routes["/api/Echo"] = echo
    return calls


def test_a_route_gets_body_and_token_and_its_answer_is_sent():
    with sim.Hub() as hub, httpx.Client(trust_env=False) as client:
        calls = routed(hub)
        url = f"http://127.0.0.1:{hub.port}/api/Echo"
        answer = client.post(url + "?a=1", json=[1], headers={"Authorization": "bearer abc"})
        assert (answer.status_code, answer.json()) == (207, {"got": [1]})
        assert answer.headers["content-type"] == "application/json"
        assert client.post(url).json() == {"got": None}  # on the same connection
        (first, body), (second, _) = calls
        assert (first.path, first.query, first.bearer, body) == ("/api/Echo", "a=1", "abc", b"[1]")
        assert second.bearer is None
        assert [(r.method, r.path, r.status, r.body) for r in hub.requests] == [
            ("POST", "/api/Echo", 207, b"[1]"),
            ("POST", "/api/Echo", 207, b""),
        ]
        assert client.get(url).status_code == 405
        assert client.post(url + "es").status_code == 404
        assert len(calls) == 2


def test_faults_at_the_stage_rest_take_the_place_of_the_answer():
    with sim.Hub() as hub, httpx.Client(trust_env=False) as client:
        calls = routed(hub)
        url = f"http://127.0.0.1:{hub.port}/api/Echo"
        hub.fault(sim.Refuse(429, at="rest", headers=(("retry-after", "3"),)))
        answer = client.post(url)
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "3")
        hub.fault(sim.NoAnswer(at="rest"))
        with pytest.raises(httpx.ReadTimeout):
            client.post(url, timeout=0.1)
        hub.fault(sim.Drop("rst", at="rest"))
        with pytest.raises(httpx.ReadError):
            client.post(url)
        assert calls == []
        assert client.post(url).status_code == 207


def test_a_body_beyond_all_measure_is_not_read():
    with sim.Hub() as hub, httpx.Client(trust_env=False) as client:
        routed(hub)
        with pytest.raises((httpx.HTTPStatusError, httpx.WriteError, httpx.ReadError)):
            client.post(f"http://127.0.0.1:{hub.port}/api/Echo", content=b"x" * 2**22).raise_for_status()
