"""Whatever is asked, with whatever characters: there is an answer, or the operator is told; nothing is executed."""

from __future__ import annotations

import contextlib

import pytest
from database import FILETYPES, raw
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from facade.errors import InputError
from facade.registry import Registry
from facade.registry.finding import Wanted
from facade.registry.questions import named_queries

SIGNS = list("'\"\\\0%;=,*?_[!\n\udcffé😀")
EVIL = [
    *SIGNS, "''", "%s", "%(x)s", ":'file'", "--", "/*", "$1", "$$", "x" * 100_000, "'; drop table desfile; --", "null",
    "a:b", "1e400", "9" * 30,
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(EVIL) | st.text(max_size=5), max_size=4).map("".join)
PATIENT = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def filled(registry: Registry) -> Registry:
    registry.ingest("raws", FILETYPES, [raw("a.fits", visit=1, ccd=2), raw("b_%'.fits", visit=2, ccd=3)])
    return registry


@PATIENT
@given(value=TEXTS)
def test_named_questions(filled: Registry, value: str) -> None:
    for query in named_queries().values():
        with contextlib.suppress(InputError):
            filled.run_named(query.name, dict.fromkeys(query.parameters, value))
    with contextlib.suppress(InputError):
        filled.run_named("files-by-metadata", {"filetype": "raw", "where": f"ccd={value}"})
    with contextlib.suppress(InputError):
        filled.run_named("files-by-metadata", {"filetype": "raw", "where": f"{value}=1"})
    assert len(filled.care.find(Wanted(filetype="raw"))) == 2


@PATIENT
@given(value=TEXTS)
def test_finding_files(filled: Registry, value: str) -> None:
    wishes = [Wanted(names=[value]), Wanted(tag=value), Wanted(filetype=value), Wanted(archive=value)]
    wishes += [Wanted(filetype="raw", where={"ccd": value}), Wanted(filetype="raw", where={value: "1"})]
    for wish in wishes:
        with contextlib.suppress(InputError):
            filled.care.find(wish, metadata=True)
    assert len(filled.care.find(Wanted(filetype="raw"))) == 2


def test_names_full_of_signs_are_found(filled: Registry) -> None:
    def names(*wanted: str) -> list[str]:
        return [one.name for one in filled.care.find(Wanted(names=wanted))]

    assert names("b_%'.fits") == names("b_%*") == names("?_%'.fits") == ["b_%'.fits"]
    assert names("a_*") == [] and names("*.fits") == ["a.fits", "b_%'.fits"]
