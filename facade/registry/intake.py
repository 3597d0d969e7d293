"""What ``facade ingest`` asks of the registry and tells it: thousands of files at a time (`Registry.intake`)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from facade.plugins import Row, Scalar
from facade.registry import bulk, contents, filling
from facade.registry.connection import Session
from facade.registry.values import FileKey, FileType, Ingested, NewFile


class Intake:
    """One client's way of registering files that exist already."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def known(self, names: Iterable[FileKey], archive: str) -> dict[FileKey, bulk.Known]:
        """Return those of *names* that are registered, with their folder in *archive*, None if they are not there."""
        return bulk.known(self._session, names, archive)

    def loaded(self, table: str, ids: Sequence[int]) -> set[int]:
        """Return those of the files *ids* that have rows in *table*; none if there is no such table."""
        return contents.loaded(self._session, table, ids)

    def ensure_table(self, table: str, columns: Mapping[str, str]) -> list[str]:
        """Make or widen a table for rows of files, of *columns* (name -> type); return what was done, in words.

        Raises:
            InputError: a name is unusable, or the table is used otherwise.
            RegistryError: the login may not.
        """
        return contents.ensure_table(self._session, table, columns)

    def fill(self, filetype: FileType, told: Mapping[int, Mapping[str, Scalar]]) -> set[int]:
        """Give files (id -> metadata) values of columns in which they have none; return those that got any."""
        return filling.fill(self._session, filetype, told)

    def register(
        self,
        task_name: str,
        filetypes: Mapping[str, FileType],
        new_files: Sequence[NewFile],
        rows: Sequence[tuple[FileKey, str, Sequence[Row]]] = (),
        catalogues: Sequence[contents.Catalogue] = (),
        *,
        partial: bool = False,
        absent: Collection[FileKey] = (),
    ) -> Ingested:
        """Register files in one transaction; *rows* are (file, dimension table, rows), *catalogues* the rows of files
        for tables that `ensure_table` made.

        What is known of files that are registered already stays as it is. With *partial*, names that are registered
        with other content are left out, and told in the result. Names that are said to be *absent*, because `known` did
        not know them, are not asked for again; if somebody has registered one since, that is noticed.

        Raises:
            RefusedError: a name is registered with other content; or rows contradict what a table has.
            InputError: *rows* do not fit the tables.
        """
        return bulk.register(
            self._session, task_name, filetypes, new_files, rows, catalogues, partial=partial, absent=absent
        )
