"""Names that operators put on attempts."""

from __future__ import annotations

from facade.errors import InputError
from facade.registry.connection import Session


def tag(session: Session, attempt_id: int, name: str, by: str) -> None:
    """Put tag *name* on an attempt; again changes nothing.

    Raises:
        InputError: there is no such attempt.
    """
    if not session.rows("select id from pfw_attempt where id = %s", (attempt_id,)):
        raise InputError(f"there is no attempt {attempt_id}")
    session.rows(
        "insert into proctag (tag, pfw_attempt_id, added_by) values (%s, %s, %s) on conflict do nothing",
        (name, attempt_id, by),
    )


def untag(session: Session, attempt_id: int, name: str) -> bool:
    """Take tag *name* off an attempt; tell whether it was there."""
    gone = session.rows("delete from proctag where tag = %s and pfw_attempt_id = %s returning tag", (name, attempt_id))
    return bool(gone)
