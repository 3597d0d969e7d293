"""The site file: where the archive is and how it is reached; what it may not hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from facade.errors import CampaignError
from facade.site import Site


def site(home: Path, text: str = "") -> Site:
    (home / "site.wcl").write_text(text)
    return Site.here({"FACADE_HOME": str(home)})


def archive(*lines: str, name: str = "home") -> str:
    return "\n".join(["<archive>", f"<{name}>", *lines, f"</{name}>", "</archive>", ""])


@pytest.mark.parametrize(
    ("root", "place"),
    [
        ("files", "{home}/files"),
        ("/data/archive", "/data/archive"),
        ("file:///data/archive", "/data/archive"),
        ("https://dav.example.org:8443/survey/archive", "https://dav.example.org:8443/survey/archive"),
        ("s3://bucket/pre/fix", "s3://bucket/pre/fix"),
        ("s3", "{home}/s3"),
    ],
)
def test_an_archive_is_a_path_or_an_address(tmp_path: Path, root: str, place: str) -> None:
    found = site(tmp_path, archive(f"root = {root}"))
    assert found.archive_root == place.format(home=tmp_path) and found.archive_options == {}


def test_without_a_word_it_lies_at_home(tmp_path: Path) -> None:
    assert site(tmp_path).archive_root == str(tmp_path / "archive")
    assert site(tmp_path, archive("transfers = 3")).archive_root == str(tmp_path / "archive")


def test_how_it_is_reached_is_handed_on_and_files_are_named_by_whole_paths(tmp_path: Path) -> None:
    lines = ("root = s3://b/x", "endpoint = https://s3.example.org", "credentials = creds/aws", "transfers = 8")
    found = site(tmp_path, "home_archive = main\n" + archive(*lines, name="main"))
    assert found.archive == "main" and found.archive_options == {
        "endpoint": "https://s3.example.org", "credentials": str(tmp_path / "creds/aws"), "transfers": "8",
    }  # fmt: skip


@pytest.mark.parametrize("line", ["root = https://me:s3cret@host/a", "endpoint = https://key:s3cret@s3.example.org"])
def test_a_password_in_an_address_is_refused_and_not_shown(tmp_path: Path, line: str) -> None:
    with pytest.raises(CampaignError, match="holds a user or password") as caught:
        site(tmp_path, archive("root = s3://b", line) if line.startswith("end") else archive(line))
    text = str(caught.value)
    assert "s3cret" not in text and "0600" in text and "site.wcl:" in text and "F216" in text


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("root = ftp://host/a", "facade knows no 'ftp://'"),
        ("root = file://host/a", "absolute path"),
        ("root = https://host/a?b=c", "'?'"),
        ("tranfers = 3", "transfers"),
        ("password = s3cret", "no key 'password'"),
    ],
)
def test_what_no_archive_has_is_told_with_its_place(tmp_path: Path, line: str, told: str) -> None:
    with pytest.raises(CampaignError) as caught:
        site(tmp_path, archive(line))
    assert told in str(caught.value) and "site.wcl:3:" in str(caught.value)
