"""The registry: files, metadata, locations, provenance and run states in PostgreSQL.

`Registry` is the face; `Address` says where the database is; `Reporter` (in `facade.registry.reporter`) tells it from
inside a job what happens there; `Embedded` (in `facade.registry.embedded`) is the server facade keeps for itself.
Importing this package costs nothing: a job that only reports must not pay for SQLAlchemy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from facade.registry.connection import Address

if TYPE_CHECKING:
    from facade.registry.face import Registry

__all__ = ["Address", "Registry"]


def __getattr__(name: str) -> Any:
    if name == "Registry":
        from facade.registry.face import Registry

        return Registry
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
