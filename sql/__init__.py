"""The registry's SQL: tables, views, the ``report`` function, migrations, and named questions. Data, not code."""
