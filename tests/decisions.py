"""What tests tell a client to do about a failure, ahead of its own table."""

from __future__ import annotations

from tickwire.policy import Decision, Failure

__all__ = ["first_of_all"]


def first_of_all(failure: Failure) -> Decision | None:
    """Raise a first failure at once, whatever it is; a later one is tried again."""
    return None if failure.was_live else Decision(None)
