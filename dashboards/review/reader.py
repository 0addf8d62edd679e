"""Who looks, and what they may: without login everybody on loopback is an operator."""

from dataclasses import dataclass
from datetime import datetime

import streamlit as st

from dashboards import published
from dashboards.access import logged_in_at
from mmdiag.errors import UsageError
from mmdiag.roles import may, role_of, system_user


@dataclass(frozen=True, slots=True)
class Reader:
    """Who looks.

    Args:
        role: Of `mmdiag.roles.ROLES`; empty = none.
        problem: Why there is no role.
        since: When they logged in, by the token of the address.
    """

    name: str
    role: str
    problem: str = ""
    since: datetime | None = None

    def may(self, action: str) -> bool:
        """Whether the reader may do something."""
        return bool(self.role) and may(self.role, action)


def reader() -> Reader:
    """The user of the system whose dashboard this is, with the role that users.toml gives."""
    name = system_user()
    try:
        role = role_of(published.workspace().path, name)
    except UsageError as error:
        return Reader(name, "", str(error))
    port = int(st.get_option("server.port"))
    return Reader(name, role, since=logged_in_at(dict(st.context.cookies), port))
