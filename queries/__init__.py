"""Query codes that come with facade. Reached through the entry points ``facade.queries``, never imported."""
