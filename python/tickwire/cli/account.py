"""The gateway of a command line: its address from an option, user and key from the environment.

Secrets stand in variables and not in options, which every user of a machine can read in its list of
processes.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tickwire.errors import ConfigError

if TYPE_CHECKING:
    from tickwire.gateway import Gateway

__all__ = ["KEY_ENV", "USER_ENV", "gateway_of"]

USER_ENV = "TOPSTEP_USER"
KEY_ENV = "TOPSTEP_KEY"


def gateway_of(api: str | None, user_env: str, key_env: str, proxy: str | None) -> Gateway:
    """The gateway at `api`, TopstepX's for None. `ConfigError` for a variable that is not set."""
    from tickwire.gateway import projectx
    from tickwire.projectx import API

    for option, name, what in (("--user-env", user_env, "user's name"), ("--key-env", key_env, "API key")):
        if not os.environ.get(name):
            raise ConfigError(
                f"{option}: the environment variable {name} is not set; it should hold the {what}"
            )
    return projectx(
        os.environ[user_env], os.environ[key_env], api=api if api is not None else API, proxy=proxy
    )
