"""Who may use the backend: one token for whoever started it, and one for each further user of a shared server.

A user is a token; an owner is a UUID that a client of that user makes up. Owners of different users never meet, whatever UUIDs
they choose. Holds no job and no socket.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import re
import secrets
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from shared.endpoint import Endpoint, write_endpoint
from shared.errors import AccessDenied, InvalidParameter

STARTER = ""  # the user who started the backend
MAX_USERS = 32
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")
_NAMESPACE = uuid.UUID("5f3a3a55-7f0b-4c56-9a35-0d1f0f6a9f3e")


def check_users(names: Sequence[str]) -> tuple[str, ...]:
    """The names, each once. Raises InvalidParameter for one that cannot be part of a file's name, or for too many."""
    for name in names:
        if not _NAME.fullmatch(name):
            raise InvalidParameter(
                f"{name!r} cannot be the name of a user.",
                hint="Use up to 32 letters, digits, - and _.",
                field="user",
            )
    if len(set(names)) >= MAX_USERS:
        raise InvalidParameter(f"At most {MAX_USERS - 1} users can be given.", field="user")
    return tuple(dict.fromkeys(names))


class Access:
    """The tokens of one run."""

    def __init__(self, users: Sequence[str] = ()) -> None:
        self._tokens: Mapping[str, str] = {user: secrets.token_hex(32) for user in (STARTER, *users)}

    @property
    def users(self) -> tuple[str, ...]:
        return tuple(self._tokens)

    def token_of(self, user: str) -> str:
        return self._tokens[user]

    def user_of(self, token: str) -> str:
        """Whose token this is. Raises AccessDenied; takes the same time for every wrong one."""
        given, found = token.encode(), None
        for user, right in self._tokens.items():
            if hmac.compare_digest(given, right.encode()):
                found = user
        if found is None:
            raise AccessDenied(
                "The token is wrong.",
                hint="Take it from the connection file that the backend wrote at its last start.",
                field="token",
            )
        return found

    @staticmethod
    def owner_of(user: str, owner: str) -> str:
        """The owner of jobs that a client of this user means by this UUID; another user's same UUID is another owner."""
        return owner if user == STARTER else str(uuid.uuid5(_NAMESPACE, f"{user} {owner}"))

    def write(self, path: Path, endpoint: Endpoint) -> None:
        """The connection files: `path` for whoever started the backend, endpoint-NAME.json beside it for each user."""
        for user, token in self._tokens.items():
            write_endpoint(_file_of(path, user), replace(endpoint, token=token))

    def remove(self, path: Path, session: str) -> None:
        """Remove the connection files that are of this session: a later backend may have written its own."""
        for user in self._tokens:
            file = _file_of(path, user)
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                if json.loads(file.read_text(encoding="utf-8"))["session"] == session:
                    file.unlink()


def _file_of(path: Path, user: str) -> Path:
    return path if user == STARTER else path.with_name(f"{path.stem}-{user}{path.suffix}")
