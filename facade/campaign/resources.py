"""What a campaign, block or module says of the jobs: what they need, how large they may be, how many run at once."""

from __future__ import annotations

from collections.abc import Sequence

from facade.campaign.faults import Faults, Keys, key_of
from facade.campaign.model import Bounds, Throttles
from facade.campaign.words import BOOL, COUNT, DISK, FACTOR, INT, LIMITS, NAME, SIZE, TEXT, TIME
from facade.needs import Needs
from facade.wcl.tree import Section

_MB = 1 << 20


def needs(section: Section, keys: Keys) -> Needs:
    """Return what *section* itself says that jobs need."""
    return Needs(
        cpus=keys.word(section, "request_cpus", COUNT, 0),
        memory=-(-keys.word(section, "request_memory", SIZE, 0) // _MB),
        disk=-(-keys.word(section, "request_disk", DISK, 0) // _MB),
        walltime=keys.word(section, "jobwalltime", TIME, 0),
        gpus=keys.word(section, "request_gpus", COUNT, 0),
        limits=keys.word(section, "concurrency_limits", LIMITS, ()),
        requirements=keys.word(section, "condorjobreq", TEXT, ""),
        priority=keys.word(section, "priority", INT, 0),
        category=keys.word(section, "category", NAME, "").lower(),
        growth=keys.word(section, "memory_growth", FACTOR, 0.0),
        most=-(-keys.word(section, "memory_max", SIZE, 0) // _MB),
    )


def bounds(scopes: Sequence[Section], keys: Keys) -> Bounds:
    """Return how large jobs may be; *scopes* are the sections that may say it, nearest first."""
    return Bounds(
        most=keys.word(nearest(scopes, "max_quanta_per_job"), "max_quanta_per_job", COUNT, 0),
        target=keys.word(nearest(scopes, "job_target_time"), "job_target_time", TIME, 0),
    )


def threads(scopes: Sequence[Section], keys: Keys) -> int:
    """Return how many quanta of a module run at once in a job; *scopes* as in `bounds`."""
    if not keys.word(nearest(scopes, "master_use_fwthreads"), "master_use_fwthreads", BOOL, True):
        return 1
    return keys.word(nearest(scopes, "max_fwthreads"), "max_fwthreads", COUNT, 1)


def nearest(scopes: Sequence[Section], key: str) -> Section:
    """Return the first of *scopes* that says *key*, or the first of all."""
    return next((section for section in scopes if section.value(key) is not None), scopes[0])


def throttles(root: Section, keys: Keys) -> Throttles:
    """Return how many jobs run at once: of the attempt, and of each category."""
    group = root.section("max_jobs") or Section()
    categories = {name: keys.word(group, name, COUNT, 0) for name, _ in group.values()}
    return Throttles(
        jobs=keys.word(root, "dagman_max_jobs", COUNT, 0),
        idle=keys.word(root, "dagman_max_idle", COUNT, 0),
        categories={name: number for name, number in categories.items() if number},
    )


def check_categories(root: Section, used: Sequence[str], faults: Faults) -> None:
    """Check that every throttle of <max_jobs> is one of a category that some module or block has."""
    group = root.section("max_jobs") or Section()
    for name, value in group.values():
        if name not in used:
            faults.unknown(key_of(name, value), "category", name, sorted(set(used) - {""}), code="F232")
