"""The small survey for all tests of asking."""

pytest_plugins = ["asking.place"]
