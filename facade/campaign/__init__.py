"""Located tree -> typed `Campaign`: every fault reported at once, with its place."""

from __future__ import annotations

from facade.campaign.filetypes import from_name
from facade.campaign.model import (
    Block,
    Campaign,
    Dataset,
    Depends,
    ExecSpec,
    FileSpec,
    Hyphen,
    ListSpec,
    Module,
    QuerySpec,
    Ref,
)
from facade.campaign.module import joined
from facade.campaign.read import Examined, accepted, examine, filetypes, read

__all__ = [
    "Block",
    "Campaign",
    "Dataset",
    "Depends",
    "Examined",
    "ExecSpec",
    "FileSpec",
    "Hyphen",
    "ListSpec",
    "Module",
    "QuerySpec",
    "Ref",
    "accepted",
    "examine",
    "filetypes",
    "from_name",
    "joined",
    "read",
]
