"""Who looks, and what they may: without login everybody on loopback is an operator."""

from dataclasses import dataclass

from dashboards import published
from mmdiag.errors import UsageError
from mmdiag.record.roles import may, role_of
from mmdiag.storage.audit.chain import system_user


@dataclass(frozen=True, slots=True)
class Reader:
    """Who looks.

    Args:
        role: Of `mmdiag.record.roles.ROLES`; empty = none.
        problem: Why there is no role.
    """

    name: str
    role: str
    problem: str = ""

    def may(self, action: str) -> bool:
        """Whether the reader may do something."""
        return bool(self.role) and may(self.role, action)


def reader() -> Reader:
    """The user of the system whose dashboard this is, with the role that users.toml gives."""
    name = system_user()
    try:
        return Reader(name, role_of(published.workspace().path, name))
    except UsageError as error:
        return Reader(name, "", str(error))
