"""What Alembic runs around each migration: the connection, locks and transaction are `facade.registry.schema`'s."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], target_metadata=None)
with context.begin_transaction():
    context.run_migrations()
