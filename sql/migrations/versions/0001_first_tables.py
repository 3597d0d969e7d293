"""Make the tables, views and functions of the registry."""

from importlib.resources import files

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Run the files of sql/ in the order they need each other."""
    as_is = {"no_parameters": True}  # a % in the text is PostgreSQL's, not the driver's
    for name in ("tables.sql", "views.sql", "report.sql", "roles.sql"):
        text = files("facade_sql").joinpath(name).read_text(encoding="utf-8")
        op.get_bind().exec_driver_sql(text, execution_options=as_is)
