"""Make the tables, views and functions of the registry."""

import re
from importlib.resources import files

from alembic import op
from sqlalchemy import text

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None
FILES = ("tables.sql", "views.sql", "report.sql", "report_files.sql", "roles.sql")


def upgrade() -> None:
    """Run the files of sql/ in the order they need each other."""
    as_is = {"no_parameters": True}  # a % in the text is PostgreSQL's, not the driver's
    for name in FILES:
        op.get_bind().exec_driver_sql(_text(name), execution_options=as_is)


def downgrade() -> None:
    """Drop what the files made, and the tables of metadata and contents; nothing that something else depends on."""
    bind = op.get_bind()
    for kind in ("view", "function", "table", "type"):
        names = list(bind.scalars(text(_DEFINED))) if kind == "table" else []
        if made := [name for file in FILES for name in re.findall(rf"^create {kind} (\w+)", _text(file), re.MULTILINE)]:
            names += bind.scalars(text(_FUNCTIONS), {"names": made}) if kind == "function" else made
        if names:
            op.execute(f"drop {kind} {', '.join(names)}")


def _text(name: str) -> str:
    return files("facade_sql").joinpath(name).read_text(encoding="utf-8")


_FUNCTIONS = (
    "select oid::regprocedure::text from pg_proc where pronamespace = 'public'::regnamespace and proname = any(:names)"
)
_DEFINED = """
select oid::regclass::text from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'
   and obj_description(oid, 'pg_class') in (
       'metadata of files, one row each; columns come from the definitions of filetypes',
       'rows of files, by the definitions of filetypes')"""
