"""Functions that campaigns call: registered ones by name, others only with the site's permission."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from campaigns import text

from facade import plugins
from facade.errors import CampaignError
from facade.loading import load_campaign
from facade.site import Site

MODULE = """
def nights(values):
    first, last = int(values["first"]), int(values["last"])
    return {"night": list(range(first, last + 1)), "filename_pattern": {"of_night": "${night}.fits"}, "none": None}

def stem(words):
    return words[0].partition(".")[0].upper()

def fail(_):
    raise ValueError("no such night")

def number(_):
    return 7
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A site with a module of functions, one of them registered."""
    (tmp_path / "ourcode.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    point = EntryPoint("stem", "ourcode:stem", "facade.functions")
    found = plugins.entry_points
    monkeypatch.setattr(plugins, "entry_points", lambda group: [point] if group == point.group else found(group=group))
    monkeypatch.chdir(tmp_path)
    return Site.here({"FACADE_HOME": str(tmp_path)})


def permissive(tmp_path: Path) -> Site:
    (tmp_path / "site.wcl").write_text("permitted_functions = ourcode\n")
    return Site.here({"FACADE_HOME": str(tmp_path)})


def test_an_included_mapping_is_merged_where_it_stands(site: Site, tmp_path: Path) -> None:
    wcl = "first = 4\nlast = ${later}\nlater = 6\nnight = 1\n<<inclfunc ourcode.nights(first, last)>>\nfirst = 5\n"
    (tmp_path / "c.wcl").write_text(wcl)
    root = permissive(tmp_path).load("c.wcl").root
    assert root.text("night") == "4, 5, 6"
    assert [value.text for value in root.history("night")] == ["1"]
    assert str(root.path("filename_pattern.of_night")) == "${night}.fits"
    assert "none" not in root


def test_a_registered_function_needs_no_permission(site: Site, tmp_path: Path) -> None:
    (tmp_path / "c.wcl").write_text(text() + "<job_environment>\nlong_name = $FUNC{stem,a b.c,x}\n</job_environment>\n")
    campaign = load_campaign(site, Path("c.wcl"))
    value = campaign.document.root.path("job_environment.long_name")
    assert campaign.scope().resolve(str(value)) == "A B"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("<<inclfunc ourcode.nights(reqnum)>>", "no function is registered as 'ourcode.nights' (registered: stem;"
         " a site may permit imports: permitted_functions = ourcode) [F017]"),
        ("<<inclfunc os.system(reqnum)>>", "permitted_functions = os) [F017]"),
        ("<<inclfunc stem(nothing)>>", "undefined variable 'nothing' in <<inclfunc>> [F013]"),
        ("<<inclfunc stem(reqnum)>>", "the function 'stem' failed: KeyError: 0 [F018]"),
        ("<job_environment>\nx = $FUNC{os.getenv,HOME}\n</job_environment>", "permitted_functions = os) [F112]"),
    ],
)  # fmt: skip
def test_what_is_neither_registered_nor_permitted_is_not_called(
    site: Site, tmp_path: Path, line: str, message: str
) -> None:
    (tmp_path / "c.wcl").write_text(f"{text()}{line}\n")
    with pytest.raises(CampaignError) as caught:
        load_campaign(site, Path("c.wcl"))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("<<inclfunc ourcode.fail(reqnum)>>", "the function 'ourcode.fail' failed: ValueError: no such night [F018]"),
        ("<<inclfunc ourcode.number(reqnum)>>", "it returned int, not a mapping [F018]"),
        ("<<inclfunc ourcode.nothing(reqnum)>>", "the function 'ourcode.nothing' cannot be imported"),
        ("<job_environment>\nx = $FUNC{ourcode.fail}\n</job_environment>", "$FUNC{ourcode.fail} failed: ValueError"),
    ],
)
def test_a_function_that_fails_is_told(site: Site, tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "c.wcl").write_text(f"{text()}{line}\n")
    with pytest.raises(CampaignError) as caught:
        load_campaign(permissive(tmp_path), Path("c.wcl"))
    assert message in str(caught.value)
