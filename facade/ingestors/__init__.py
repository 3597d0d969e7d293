"""How files that facade did not make become known: one module per kind, each a `facade.plugins.Ingestor`."""
