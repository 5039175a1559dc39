"""Tokens that end, and users who log in again: expiry in mid-stream, renewal, one session per user."""

from __future__ import annotations

import httpx
import jwt
import pytest
from websockets.exceptions import ConnectionClosed, ConnectionClosedOK, InvalidStatus

from sim.clocks import SetClock
from sim.peer import Peer, negotiate
from sim.wire import Wire
from tickwire import ConfigError, sim


def status(hub: sim.Hub, token: str) -> int:
    """The status of an upgrade with this token."""
    with Wire(hub, token=token) as wire:
        return wire.upgrade()[0]


# Expiry


def test_a_connection_outlives_its_token_unless_told():
    with sim.Hub() as hub:
        token = hub.token()
        with Peer(hub, token=token) as peer:
            hub.expire(token)
            assert "error" not in peer.invoke("SubscribeContractTrades", "X")
            assert status(hub, token) == 401
            assert negotiate(hub, token=token).status_code == 401
            assert hub.requests[-1].note == "expired token"
            assert status(hub, hub.token()) == 101  # others are good


def test_the_hub_closes_what_has_expired_by_a_message():
    with sim.Hub(close_expired=True) as hub:
        token = hub.token()
        with Peer(hub, token=token) as peer, Peer(hub) as other:
            hub.wait_until(lambda h: all(info.protocol for info in h.connections))
            hub.expire(token)
            assert peer.message() == {"type": 7, "error": "The token has expired."}
            with pytest.raises(ConnectionClosedOK):
                peer.message()
            assert "error" not in other.invoke("SubscribeContractTrades", "X")


@pytest.mark.parametrize(("how", "in_order"), [("fin", True), ("rst", False)])
def test_the_hub_drops_what_has_expired(how: str, in_order: bool):
    with sim.Hub(close_expired=sim.Drop(how, settle=True)) as hub, Wire(hub, token=hub.token()) as wire:
        wire.shake()
        hub.expire(wire.token)
        assert wire.rest() == (b"", in_order)


def test_a_token_expires_by_itself_in_mid_stream():
    clock = SetClock()
    market = sim.Market(1, rate=100.0, mix={"quote": 1})
    with (
        sim.Hub(market, clock=clock, close_expired=True) as hub,
        Peer(hub, token=hub.token(ttl_s=5.0)) as peer,
    ):
        peer.subscribe(hub.symbols, ["quote"])
        hub.wait_until(lambda h: bool(h.connection().subscriptions))
        messages = []
        for second in range(1, 5):
            clock.advance(hub, 1.0)
            hub.wait_until(lambda h, n=second: h.sent.ticks >= 90 * n)
        clock.advance(hub, 1.0)
        messages = list(peer.messages())
        assert messages[-1] == {"type": 7, "error": "The token has expired."}
        assert len([m for m in messages if m["type"] == 1]) == hub.connection().sent.ticks >= 360


def test_opaque_tokens_are_good_for_the_same():
    with sim.Hub(close_expired=True) as hub:
        token = hub.token("ann", opaque=True)
        with pytest.raises(jwt.InvalidTokenError):
            jwt.decode(token, options={"verify_signature": False})
        with Peer(hub, token=token) as peer:
            assert hub.connection().user == "ann"
            hub.expire(token)
            assert [m["type"] for m in peer.messages()] == [7]
        assert status(hub, token) == 401
        assert status(hub, hub.token(ttl_s=-1, opaque=True)) == 401


def test_only_tokens_of_the_hub_expire():
    with sim.Hub() as hub, pytest.raises(ConfigError, match="bad token"):
        hub.expire("nonsense")


# One session per user


def test_a_newer_session_logs_the_older_one_out():
    with sim.Hub(one_session=True) as hub:
        old, new = hub.token("ann"), hub.token("ann")
        with (
            Peer(hub, token=old) as market,
            Peer(hub, token=old, url=hub.user_url) as user,
            Peer(hub, token=hub.token("bob")) as other,
        ):
            hub.wait_until(lambda h: all(info.protocol for info in h.connections))
            # A token that nobody came with yet ends nothing.
            assert "error" not in market.invoke("SubscribeContractTrades", "X")
            with Peer(hub, token=new) as heir:
                for peer in (market, user):
                    assert peer.message()["target"] == "GatewayLogout"
                    with pytest.raises(ConnectionClosed):
                        peer.message()
                assert "error" not in heir.invoke("SubscribeContractTrades", "X")
                assert "error" not in other.invoke("SubscribeContractTrades", "X")
                assert status(hub, old) == 401
                assert hub.requests[-1].note == "another session is active"
                assert status(hub, new) == 101


def test_a_renewed_token_is_of_the_same_session():
    with sim.Hub(one_session=sim.Drop("rst")) as hub:
        first = hub.token("ann")
        renewed = hub.token(renews=first)
        with Peer(hub, token=first) as one, Peer(hub, token=renewed) as two:
            for peer in (one, two):
                assert "error" not in peer.invoke("SubscribeContractTrades", "X")
            assert [info.user for info in hub.connections] == ["ann", "ann"]
            assert status(hub, first) == 101
            with Peer(hub, token=hub.token("ann")):
                for peer in (one, two):
                    with pytest.raises(ConnectionClosed):
                        peer.message()
            assert status(hub, renewed) == 401


def test_without_the_setting_a_user_has_as_many_sessions_as_come():
    with sim.Hub() as hub, Peer(hub) as one, Peer(hub) as two:
        for peer in (one, two):
            assert "error" not in peer.invoke("SubscribeContractTrades", "X")


def test_a_refused_newcomer_ends_nothing():
    with sim.Hub(one_session=True) as hub, Peer(hub, token=hub.token("ann")) as peer:
        hub.fault(sim.Refuse(503))
        with pytest.raises(InvalidStatus), Peer(hub, token=hub.token("ann")):
            pass
        assert "error" not in peer.invoke("SubscribeContractTrades", "X")
        with httpx.Client(trust_env=False) as client:
            headers = {"Authorization": f"Bearer {hub.token('ann')}"}
            assert client.post(f"{hub.url}/negotiate", headers=headers).status_code == 200
        assert "error" not in peer.invoke("SubscribeContractTrades", "X")
