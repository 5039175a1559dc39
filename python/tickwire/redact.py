"""Quoting what a server said without showing the secrets that it was sent.

A `Redactor` knows the tokens of one connection. It masks them as they are and as a URL spells them.
It cannot mask what a server made of a token in any other way.
"""

from __future__ import annotations

from urllib.parse import quote, unquote

from .auth import Token

__all__ = ["Redactor", "in_url"]

_MAX_QUOTE = 200


def in_url(token: Token) -> Token:
    """The token as it stands in a query."""
    return Token(quote(token.reveal(), safe=""))


class Redactor:
    """The secrets of a connection, for quoting others."""

    def __init__(self, *tokens: Token | None) -> None:
        self._tokens: list[Token] = []
        for token in tokens:
            self.add(token)

    def add(self, token: Token | None) -> None:
        """Mask this one, too."""
        if token is not None:
            self._tokens += [token, in_url(token)]

    def mask(self, text: str) -> str:
        """`text` with every secret masked."""
        for token in self._tokens:
            text = token.redact(text)
        return text

    def finds_in(self, text: str) -> bool:
        """Whether a text holds any of the secrets, spelt out or as in a URL."""
        return self.mask(text) != text or self.mask(plain := unquote(text)) != plain

    def quote(self, text: str) -> str:
        """What a server said, fit for a message: masked, control characters shown, not too long."""
        # Masked first: a secret cut in half would no longer be found.
        text = self.mask(text)
        return repr(text if len(text) <= _MAX_QUOTE else text[:_MAX_QUOTE] + "…")
