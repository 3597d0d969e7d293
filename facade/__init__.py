"""facade: the batch production facade for sky surveys.

Imports nothing, so that a job starts fast; ask for the part you need (``facade.wcl``, ``facade.plan`` …).
"""

__version__ = "0.1.0"
