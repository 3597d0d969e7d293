"""Fixtures with real servers, for all tests: HTCondor, PostgreSQL, archives, which the session starts and stops.

Whatever database, pool or site the environment names belongs to whoever runs the tests; it is forgotten before the
first of them, here and in every process that they start.
"""

import os

from e2e.world import foreign

pytest_plugins = ["pool", "database", "archive_servers", "asking.place"]

for _name in foreign(os.environ):
    del os.environ[_name]
