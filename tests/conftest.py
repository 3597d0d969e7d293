"""Fixtures with real servers, for all tests: an HTCondor pool and a PostgreSQL that the session starts and stops."""

pytest_plugins = ["pool", "database"]
