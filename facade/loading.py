"""A campaign as this host sees it: read with the site's layers, checked whole, and against what is installed here."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from facade import plugins
from facade.campaign import Campaign, Examined, Module, accepted, examine
from facade.campaign.faults import in_order
from facade.campaign.outputs import suffixes
from facade.errors import CampaignError, Fault
from facade.inputs import set_values
from facade.materialise import job_path
from facade.outputs import FUNCTION
from facade.plan.foresee import foreseen
from facade.site import Site
from facade.wcl import BadReference, Document, MissingVariable, Section, Value, did_you_mean


def load_campaign(site: Site, path: Path, settings: Sequence[str] = ()) -> Campaign:
    """Read and check a campaign; *settings* are ``key=value`` and win over everything.

    Raises:
        CampaignError: with every fault found.
        InputError: the file cannot be read, or a setting is malformed.
    """
    return accepted(examine_campaign(site, path, settings))


def examine_campaign(site: Site, path: Path, settings: Sequence[str] = ()) -> Examined:
    """Read a campaign and return all there is to say of it.

    Raises:
        CampaignError: its text is no WCL.
        InputError: the file cannot be read, or a setting is malformed.
    """
    tags: tuple[Fault, ...] = ()
    try:
        document = site.load(path)
    except CampaignError as error:
        if not isinstance(error.mended, Document):
            raise
        document, tags = error.mended, error.faults
    set_values(document, settings)
    found = examine(document)
    more = [*tags, *foreseen(found), *_not_installed(found.campaign), *_no_archive(found.campaign, site)]
    return replace(found, faults=tuple(in_order([*found.faults, *more])))


def _not_installed(campaign: Campaign) -> list[Fault]:
    """Return what planning will not find: wrappers and query codes."""
    wrappers, queries = plugins.names("wrapper"), plugins.names("query")
    faults = []
    for module in campaign.modules:
        value = module.section.value("wrappername")
        known = module.wrapper in wrappers or plugins.executable(module.wrapper)
        if value is not None and module.wrapper and not known:
            remedy = did_you_mean(module.wrapper, wrappers) or f"installed wrappers: {', '.join(wrappers)}"
            message = f"no wrapper is called '{module.wrapper}'"
            faults.append(campaign.document.fault(message, value, code="F602", remedy=remedy))
        for spec in module.datasets:
            query = spec.query
            if query is None or query.program in queries or "$" in query.program or shutil.which(query.program):
                continue
            remedy = did_you_mean(query.program, queries) or f"installed query codes: {', '.join(queries)}"
            message = f"no query code or executable is called '{query.program}'"
            faults.append(campaign.document.fault(message, query.at, code="F601", remedy=remedy))
    return [*faults, *_no_functions(campaign)]


def _no_archive(campaign: Campaign, site: Site) -> Iterator[Fault]:
    """Yield the fault that the campaign's target archive is none of the site, or is that at home."""
    name, at = campaign.keeping.target, campaign.document.root.value("target_archive")
    if not name or (name in site.archives and name != site.archive):
        return
    others = [other for other in site.archives if other != site.archive]
    message = f"the site file has no archive '{name}'" if name != site.archive else f"'{name}' is the archive at home"
    remedy = did_you_mean(name, others) or f"others in its <archive> section: {', '.join(others) or 'none'}"
    yield campaign.document.fault(message, at, code="F236", remedy=remedy)


def _no_functions(campaign: Campaign) -> list[Fault]:
    """Return which functions jobs will not find that columns of metadata, and cards of outputs, name."""
    root, registered = campaign.document.root, plugins.names("function")
    named: list[tuple[str, Value | Section]] = [
        (source, root.path(f"filetype_metadata.{one.name}.columns.{column}") or root)
        for one in campaign.filetypes.values()
        for column, _, source in one.columns
    ]
    specs = [spec for module in campaign.modules for spec in module.files.values()]
    named += [(card.source, card.value) for spec in specs for card in spec.cards]
    return [
        campaign.document.fault(
            f"no function is registered as '{name}'",
            at,
            code="F607",
            remedy=did_you_mean(name, registered) or f"registered: {', '.join(registered) or 'none'}",
        )
        for source, at in named
        if source.startswith(FUNCTION) and (name := source.removeprefix(FUNCTION)) not in registered
    ]


def check_programs(campaign: Campaign, site: Site) -> list[Fault]:
    """Return a warning for each program that jobs on this host would not find on their path."""
    if site.engine != "local":
        return []  # where jobs run, and what is installed there, only the pool knows
    path = job_path(_environment(campaign))
    wanted: dict[str, list[tuple[Module, Value | Section]]] = {}
    for module in campaign.modules:
        for one in module.execs:
            scope = campaign.scope(module, one.section)
            with suppress(MissingVariable, BadReference):  # told elsewhere, or known only to a quantum
                wanted.setdefault(scope.resolve(one.execname), []).append((module, one.execname))
        for name in suffixes(module):
            at = module.files[name].section.value("compress_files") or module.section
            wanted.setdefault(module.compression.argv[0] if module.compression else "", []).append((module, at))
    faults = []
    for name, users in wanted.items():
        if "/" not in name and not shutil.which(name, path=path):
            modules = ", ".join(dict.fromkeys(f"'{module.name}'" for module, _ in users))
            message = f"program '{name}' of module {modules} is not on the path of jobs on this host"
            remedy = "install it, or set path in <job_environment> to where it is"
            faults.append(campaign.document.fault(message, users[0][1], code="F421", remedy=remedy, severity="warning"))
    return [*faults, *_no_wrapper_programs(campaign, path)]


def _no_wrapper_programs(campaign: Campaign, path: str) -> Iterator[Fault]:
    """Yield a warning for each wrapper that is a program and is not there; a relative path starts in the job."""
    for module in campaign.modules:
        name, value = plugins.executable(module.wrapper), module.section.value("wrappername")
        if name and ("/" not in name or name.startswith("/")) and not shutil.which(name, path=path):
            message = f"wrapper '{name}' of module '{module.name}' is no program that jobs on this host can run"
            remedy = "install it, make it executable, or set path in <job_environment> to where it is"
            yield campaign.document.fault(message, value, code="F421", remedy=remedy, severity="warning")


def _environment(campaign: Campaign) -> dict[str, str]:
    """Return the environment of jobs as far as it can be told."""
    result = {}
    for key, value in (campaign.document.root.section("job_environment") or Section()).values():
        with suppress(MissingVariable, BadReference):
            result[key.upper()] = campaign.scope().resolve(value)
    return result
