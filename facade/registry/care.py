"""`Care`: what verbs that look after files ask of the registry and tell it; reached as ``Registry.care``."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager

from facade.errors import InputError
from facade.registry import dependents, finding, holdings, makers
from facade.registry.connection import Session
from facade.registry.dependents import Need
from facade.registry.finding import Found, Wanted
from facade.registry.holdings import Registered
from facade.registry.locations import Copy
from facade.registry.makers import Maker, Version
from facade.registry.values import FileKey


class Care:
    """Questions about files and who needs them, and what becomes of their locations. Of one thread, as `Registry`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def find(self, wanted: Wanted, *, metadata: bool = False) -> list[Found]:
        """Return the files that are asked for, ordered by name (see `finding.find`).

        Raises:
            InputError: a name, tag, filetype, archive or column is not known; a value cannot be compared.
        """
        return finding.find(self._session, wanted, metadata=metadata)

    def unknown(self, name: str) -> InputError:
        """Return what to say of a file that is not registered, with names near it."""
        return finding.unknown(self._session, name)

    def ensure_tag(self, tag: str) -> None:
        """Raise InputError, with a tag near it, if no attempt carries *tag*."""
        finding.ensure(self._session, "proctag", "tag", tag, "tag")

    def needs(self, ids: Sequence[int], after: int = 0) -> list[Need]:
        """Return who needs the files *ids*, ordered by file (`dependents.needs`)."""
        return dependents.needs(self._session, ids, after)

    def followers(self, attempt_id: int) -> list[str]:
        """Return the other attempts, not junk, that read files of an attempt, or took some of them."""
        return dependents.followers(self._session, attempt_id)

    def page(self, archive: str, after: int, limit: int, attempt: int | None, under: str) -> list[Copy]:
        """Return what should lie in *archive*, in the order of ids from *after* on (`holdings.page`)."""
        return holdings.page(self._session, archive, after, limit, attempt, under)

    def number(self, archive: str, attempt: int | None, under: str) -> int:
        """Return how many files `page` would give in all."""
        return holdings.number(self._session, archive, attempt, under)

    def registered(self, archive: str, names: Sequence[str]) -> dict[str, Registered]:
        """Return what the registry knows of files by *names* on disk, and where in *archive* they should lie."""
        return holdings.registered(self._session, archive, names)

    def forget(self, archive: str, ids: Sequence[int]) -> int:
        """Note that files are no longer in *archive*; return how many were. They stay known."""
        return holdings.forget(self._session, archive, ids)

    def alone(self) -> AbstractContextManager[None]:
        """Give a block into which only one of all processes comes at a time (`holdings.alone`)."""
        return holdings.alone(self._session)

    def maker(self, file: FileKey) -> Maker | None:
        """Return the quantum that made a file, None if no quantum did."""
        return makers.maker(self._session, file)

    def programs(self, attempt_id: int) -> dict[str, str]:
        """Return what each program of an attempt's plan was (a hash) when the attempt was planned."""
        return makers.programs(self._session, attempt_id)

    def versions(self, attempt_id: int) -> list[Version]:
        """Return which programs an attempt ran, in which version, how often."""
        return makers.versions(self._session, attempt_id)
