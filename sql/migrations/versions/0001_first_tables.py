"""Make the tables, views and functions of the registry."""

from importlib.resources import files

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Run the files of sql/ in the order they need each other."""
    cursor = op.get_bind().connection.cursor()
    for name in ("tables.sql", "views.sql", "report.sql"):
        cursor.execute(files("facade_sql").joinpath(name).read_text(encoding="utf-8"))
