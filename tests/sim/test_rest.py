"""The hub's REST side answers in the gateway's shapes, checks tokens, and keeps its limits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from tickwire import sim
from tickwire.errors import ConfigError

OK = {"success": True, "errorCode": 0, "errorMessage": None}


class Asking:
    """Posts to a hub."""

    def __init__(self, hub: sim.Hub, client: httpx.Client) -> None:
        self.hub = hub
        self.client = client

    def __call__(self, path: str, body: Any = None, token: str | None = None) -> httpx.Response:
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        return self.client.post(f"http://127.0.0.1:{self.hub.port}/api/{path}", json=body, headers=headers)

    def login(self, user: str = "me", key: str = "k") -> str:
        token = self("Auth/loginKey", {"userName": user, "apiKey": key}).json()["token"]
        assert isinstance(token, str)
        return token


@contextmanager
def asking(rest: sim.Rest, **options: Any) -> Iterator[Asking]:
    with sim.Hub(rest=rest, **options) as hub, httpx.Client(trust_env=False) as client:
        yield Asking(hub, client)


@pytest.mark.parametrize("opaque", [False, True])
def test_a_token_of_a_login_opens_hubs_and_is_renewed_in_its_session(opaque: bool) -> None:
    with asking(sim.Rest({"me": "k"}, opaque=opaque)) as ask:
        answer = ask("Auth/loginKey", {"userName": "me", "apiKey": "k"})
        token = answer.json().pop("token")
        assert answer.json() == {"token": token} | OK
        assert (token.count(".") == 2) != opaque
        renewed = ask("Auth/validate", {}, token).json()
        assert renewed == {"newToken": renewed["newToken"]} | OK
        tokens = ask.hub._core.tokens
        held, newer = tokens.check(token), tokens.check(renewed["newToken"])
        assert held.session == newer.session
        assert held.id != newer.id


@pytest.mark.parametrize(
    ("user", "key", "code"), [("you", "k", 1), ("me", "wrong", 3), (None, None, 1), ("me", 5, 3)]
)
def test_a_login_that_is_refused_says_why(user: Any, key: Any, code: int) -> None:
    with asking(sim.Rest({"me": "k"})) as ask:
        answer = ask("Auth/loginKey", {"userName": user, "apiKey": key})
        expected = {"token": None, "success": False, "errorCode": code, "errorMessage": None}
        assert (answer.status_code, answer.json()) == (200, expected)
        assert ask("Auth/loginKey", [1]).status_code == 400


def test_a_validation_tells_what_became_of_the_session() -> None:
    with asking(sim.Rest({"me": "k"}, renews=False), one_session=True) as ask:
        token = ask.login()
        assert ask("Auth/validate", {}, token).json() == {"newToken": None} | OK
        newer = ask.login()
        assert ask("Auth/validate", {}, token).json()["errorCode"] == 2
        assert ask("Auth/validate", {}, newer).json() == {"newToken": None} | OK
        assert ask("Auth/validate", {}, ask.hub.token(ttl_s=-5)).json()["errorCode"] == 3
        assert ask("Auth/validate", {}, "foreign").status_code == 401
        assert ask("Auth/validate", {}).status_code == 401
        assert ask("Auth/logout", {}, newer).json() == OK
        assert ask("Auth/logout", {}, newer).status_code == 401


def test_contracts_are_found_by_text_and_by_id() -> None:
    with asking(sim.Rest({"me": "k"})) as ask:
        token = ask.login()
        found = ask("Contract/search", {"searchText": "nq", "live": False}, token).json()
        expected = {
            "id": "CON.F.US.ENQ.Z26",
            "name": "NQZ6",
            "description": "E-mini NASDAQ-100: Z26",
            "tickSize": 0.25,
            "tickValue": 5.0,
            "activeContract": True,
            "symbolId": "F.US.ENQ",
        }
        assert found == {"contracts": [expected]} | OK
        one = ask("Contract/searchById", {"contractId": "CON.F.US.ENQ.Z26"}, token).json()
        assert one == {"contract": expected} | OK
        none = ask("Contract/searchById", {"contractId": "CON.X"}, token).json()
        assert (none["contract"], none["success"], none["errorCode"]) == (None, False, 1)
        assert ask("Contract/search", {"searchText": ""}).status_code == 401
        assert ask("Contract/search", [1], token).status_code == 400


def test_limits_are_kept_per_path_and_for_the_rest() -> None:
    rest = sim.Rest({"me": "k"}, limits={"/api/Contract/search": (2, 3600.0)}, other=(3, 3600.0))
    with asking(rest) as ask:
        token = ask.login()
        answers = [ask("Contract/search", {"searchText": ""}, token) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert 3590 <= int(answers[-1].headers["retry-after"]) <= 3600
        others = [ask("Contract/searchById", {"contractId": ""}, token).status_code for _ in range(3)]
        assert others == [200, 200, 429]


def test_faults_answer_in_place_of_a_path() -> None:
    with asking(sim.Rest({"me": "k"})) as ask:
        token = ask.login()
        ask.hub.fault(sim.refusal(4, "no"), only="/api/Auth/validate")
        assert ask("Auth/logout", {}, ask.login()).json() == OK
        expected = {"success": False, "errorCode": 4, "errorMessage": "no"}
        assert ask("Auth/validate", {}, token).json() == expected
        assert ask("Auth/validate", {}, token).json()["success"]


def test_other_routes_join_and_see_the_user() -> None:
    rest = sim.Rest({"me": "k"})
    with asking(rest) as ask:
        rest.add("/api/Own", lambda fields, grant: {"got": fields, "user": grant.sub})
        assert ask("Own", {"a": 1}, ask.login()).json() == {"got": {"a": 1}, "user": "me"} | OK
        assert ask("Own", {"a": 1}).status_code == 401


def test_what_cannot_work_is_refused() -> None:
    rest = sim.Rest({})
    with pytest.raises(ConfigError, match="serves no hub"):
        rest.add("/x", lambda fields, grant: {})
    sim.Hub(rest=rest)
    with pytest.raises(ConfigError, match="serves a hub already"):
        sim.Hub(rest=rest)
    with pytest.raises(ConfigError, match="token_ttl_s"):
        sim.Rest({}, token_ttl_s=0)
    with pytest.raises(ConfigError, match="limit="):
        sim.Rest({}, other=(0, 1.0))
