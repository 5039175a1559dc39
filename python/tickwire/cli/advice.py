"""What to try when a connection fails: a sentence or two per fault, for people.

Faults are the rows of `policy.TABLE`, and three more that only `doctor` can tell. What a client does by
itself about a fault is that table's business; here it is only put into words.
"""

from __future__ import annotations

from tickwire.errors import ConnectionFailed, RequestFailed
from tickwire.policy import Rule, rule_for

__all__ = ["ADVICE", "NO_DATA", "REQUEST_FAILED", "advice_for", "fault_of", "reaction"]

NO_DATA = "no data"
REQUEST_FAILED = "request failed"

ADVICE: dict[str, str] = {
    "session taken over": "Log out wherever else this user is logged in, a trading platform included: the gateway "
    "allows one session.",
    "logged out": "The gateway has ended the session: another program may have logged in as the same user, or the "
    "gateway is being maintained. Close the other program and ask for a new token.",
    "login refused": "Check user and key, that the key is an API key and has not been replaced, and that the account "
    "has API access.",
    "login failed": "The login server did not give out a token. Check --api and the network, and try again in a minute.",
    "unauthorized": "Ask for a new token and try at once: tokens of the gateway last 24 hours, and end when the user "
    "logs in elsewhere. Check that it is the token of this firm's gateway, and that --token-env names the right "
    "variable. A hub that takes no Authorization header may want --token-in query.",
    "not found": "Check the path of --hub: the market hub of a gateway ends in /hubs/market.",
    "rate limited": "Wait a minute; see whether another program of yours keeps connecting.",
    "server error": "The server, or a proxy in front of it, is in trouble: try again in a few minutes, and look at the "
    "vendor's status page.",
    "refused": "Check scheme, host and path of --hub. After a redirect, use the address that it leads to.",
    "negotiate refused": "Leave out --negotiate: WebSockets need none. If the hub requires it, what it said tells why.",
    "handshake refused": "Something speaks WebSocket there, but not SignalR as expected: check the path of --hub, and "
    "whether it speaks this --protocol. If the hub named the token or the session, ask for a new token.",
    "subscribe refused": "Check --symbol: it must be a full contract id that has not expired, as `tickwire contracts` "
    "lists them. Check that the account has a subscription to this market's data.",
    "closed, come back": "The hub is restarting or asks its clients to reconnect: try again.",
    "closed": "The hub ended the connection on purpose. Most often the token is not accepted or has expired: ask for a "
    "new one. Else what it said tells why.",
    "not resolved": "Check the spelling of the host and that this machine is online and has a name server. Behind a "
    "company's proxy, use --proxy env.",
    "not trusted": "Check this machine's date. A proxy that inspects TLS, or a server with a certificate of its own, "
    "needs its authority known: set SSL_CERT_FILE to a file that holds it.",
    "proxy failed": "The proxy is there and cannot reach the hub: check host and port, and that it may connect to them; "
    "try again in a few minutes.",
    "proxy refused": "Check the proxy's user and password, and that it allows CONNECT to this host and port.",
    "proxy": "Check the proxy's address; --proxy takes http://host:port. See whether this host can be reached without it.",
    "unreachable": "Check host and port, and that no firewall blocks them. A hub on this machine: is it running?",
    "timed out": "The server took the connection and did not answer in time. Try again; if it stays so, check that the "
    "address is a hub's and that nothing in between (proxy, VPN, virus scanner) holds traffic back. A slow line may "
    "need a larger --limit.",
    "silent": "The link is open but nothing comes, not even an answer to a ping: look for a firewall, VPN or proxy that "
    "drops connections without ending them.",
    "degraded": "Look at the reasons of `client.health()`.",
    "violation": "Something other than a SignalR hub answers there, or something in between changes what it says: check "
    "--hub, and try without a proxy.",
    "link lost": "The other side ended the connection without a word. Try again; if it happens at the same step each "
    "time, the hub does not like what it was sent there: check the token and the path.",
    NO_DATA: "While the market is closed this is normal: try again when it is open, or with an instrument that trades "
    "more. Else check that the contract is the one that is traded now (`tickwire contracts`), and that the account "
    "has a subscription to its data. --limit waits longer.",
    REQUEST_FAILED: "Check --api: it is the address of the gateway's REST interface, not of a hub. For an unknown "
    "contract, `tickwire contracts ES` lists those that there are.",
}
"""Fault -> what to try."""


def fault_of(error: ConnectionFailed) -> str:
    """The key of `ADVICE` for a failure."""
    return REQUEST_FAILED if isinstance(error, RequestFailed) else rule_for(error).fault


def advice_for(error: ConnectionFailed) -> str:
    """What to try after a failure; a server that names a time to wait comes first."""
    wait_s = getattr(error, "retry_after_s", None)
    asked = f"The server asks to wait for {wait_s:.0f} s. " if wait_s is not None else ""
    return asked + ADVICE[fault_of(error)]


def reaction(rule: Rule) -> str:
    """What a client does by itself after a failure of this kind, if it is the first thing that it meets."""
    wait = rule.before_live or rule.wait
    if wait == "never":
        return "a client gives up at once"
    pauses = {"none": "at once", "back-off": "after growing pauses", "longest": "after long pauses"}[wait]
    times = f", {rule.tries - 1} times" if rule.tries is not None else ""
    token = " with a new token" if rule.blames_token else ""
    return f"a client tries again {pauses}{token}{times}"
