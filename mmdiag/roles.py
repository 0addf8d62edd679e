"""Who may do what: three roles, kept in the workspace's users.toml. Without login everybody on
loopback is an operator. What is written asks for a login that is not too old.
"""

import getpass
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mmdiag.errors import UnknownNameError, UsageError

READER, REVIEWER, OPERATOR = ROLES = ("reader", "reviewer", "operator")
USERS = "users.toml"
# action -> the least role that may
LEAST = {
    "view": READER,
    "review": REVIEWER,
    "change the workspace": OPERATOR,  # ingest, train, score, accept what was refused, up and down
    "decide": OPERATOR,
    "erase": OPERATOR,
}
LOGIN_HOURS = 12  # for so long a login may write; looking has no end


def may(role: str, action: str) -> bool:
    """Whether a role may do something: `view`, `review`, `change the workspace`, `decide` on a
    model, `erase` a person.
    """
    return ROLES.index(role) >= ROLES.index(LEAST[action])


def require_role(role: str, action: str, since: datetime | None = None) -> None:
    """Refuse what a role may not do, or what a login is too old for.

    Args:
        since: When the one who asks logged in; None = at the command line, where the system knows
            who it is.

    Raises:
        UsageError: It may not, or is too old.
    """
    if role not in ROLES:
        raise UnknownNameError("A role", role, ROLES)
    if not may(role, action):
        raise UsageError(
            f"To {action} one is {LEAST[action]} or more, this role is {role}: ask an operator to "
            f"change it in {USERS}."
        )
    if since is None or action == "view":
        return
    if not timedelta(0) <= datetime.now(UTC) - since <= timedelta(hours=LOGIN_HOURS):
        raise UsageError(
            f"To {action} one has logged in within {LOGIN_HOURS} hours, this login is older: open "
            "the dashboard by its whole printed address once more."
        )


def require_operator(workspace: Path) -> None:
    """Refuse to change a workspace where `users.toml` gives the user of the system a role that only
    looks or reviews: asked wherever cases, runs or decisions are written, whoever calls for it.

    Raises:
        UsageError: It does, or gives them none.
    """
    require_role(role_of(workspace, system_user()), "change the workspace")


def system_user() -> str:
    """The user of the system, whose name a record bears by default."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without a name for its user
        return "unknown"


def role_of(workspace: Path, user: str) -> str:
    """The role of somebody who logged in: `role` under `[users.NAME]` of users.toml; without that
    file there is no login, and everybody on loopback is an operator.

    Raises:
        UsageError: users.toml does not name this user, or gives a role that is none.
    """
    file = workspace / USERS
    if not file.is_file():
        return OPERATOR
    try:
        users = tomllib.loads(file.read_text(encoding="utf-8")).get("users")
    except ValueError as error:
        raise UsageError(f"{USERS} must be TOML, it is not: {error}.") from None
    own = users.get(user) if isinstance(users, dict) else None
    role = own.get("role") if isinstance(own, dict) else None
    if role not in ROLES:
        raise UsageError(
            f"Who logs in has a role in {USERS}, this user has none: write `role` under "
            f"[users.NAME], one of {', '.join(ROLES)}."
        )
    return str(role)
