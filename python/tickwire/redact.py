"""Quoting what a server said without showing the secrets that it was sent.

A `Redactor` knows the secrets of one connection. It masks them as they are and as a URL spells them.
It cannot mask what a server made of them in any other way.
"""

from __future__ import annotations

from urllib.parse import quote, unquote

from .auth import Secret

__all__ = ["Redactor", "in_url"]

_MAX_QUOTE = 200


def in_url(secret: Secret) -> Secret:
    """The text as it stands in a query."""
    return Secret(quote(secret.reveal(), safe=""))


class Redactor:
    """The secrets of a connection, for quoting others."""

    def __init__(self, *secrets: Secret | None) -> None:
        self._secrets: list[Secret] = []
        for secret in secrets:
            self.add(secret)

    def add(self, secret: Secret | None) -> None:
        """Mask this one, too."""
        if secret is not None:
            self._secrets += [secret, in_url(secret)]
            # The longest first: one may begin like another, whose end would be left to see.
            self._secrets.sort(key=lambda one: -len(one.reveal()))

    def mask(self, text: str) -> str:
        """`text` with every secret masked."""
        for secret in self._secrets:
            text = secret.redact(text)
        return text

    def finds_in(self, text: str) -> bool:
        """Whether a text holds any of the secrets, spelt out or as in a URL."""
        return self.mask(text) != text or self.mask(plain := unquote(text)) != plain

    def quote(self, text: str) -> str:
        """What a server said, fit for a message: masked, control characters shown, not too long."""
        # Masked first: a secret cut in half would no longer be found.
        text = self.mask(text)
        return repr(text if len(text) <= _MAX_QUOTE else text[:_MAX_QUOTE] + "…")
