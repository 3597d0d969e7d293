"""Alembic's folder: how the tables came to be what they are, step by step. A released step is never edited."""
