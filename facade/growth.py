"""Planning in stages: blocks marked ``planned = late`` are planned once those before them are done (docs/inputs.md).

What was found at submission is kept and not asked again; so the same call of `facade.plan.plan` gives the same
beginning, and only the new blocks are decided on, registered and added to the run directory.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from facade.campaign import Campaign, read
from facade.engines.rundir import RunDirectory
from facade.errors import FacadeError, MissingInputError, RefusedError, some
from facade.homing import take_along
from facade.inputs import Found, Standing, plan_on
from facade.materialise import made_again
from facade.plan import Plan, from_text
from facade.plan.decide import Decided, Decision, Made, Reason, Success
from facade.plan.fingerprint import Fingerprints
from facade.plan.growth import ensure_grown, late_part, unmade
from facade.plugins import Rows
from facade.recorded import rows
from facade.registry import Registry
from facade.registry.values import Attempt, Carried, Planning
from facade.reuse import ALL, NONE, REFUSE, Considered, Wish, consider
from facade.run import open_run, read_receipts
from facade.site import Site
from facade.states import State
from facade.wcl import dumps, loads

SHOWN = 10


class Prepared(NamedTuple):
    """A campaign planned as far as it can be, and decided on; what was found on the way."""

    considered: Considered
    found: Found


class _Seen:
    """The registry as queries of later blocks see it: of the files that jobs made, only those of some quanta."""

    def __init__(self, registry: Registry, makers: Iterable[int]) -> None:
        self.rows: Rows = registry.rows_of(sorted(makers))
        self.lookup, self.run_times = registry.lookup, registry.run_times


def prepare(registry: Registry, site: Site, campaign: Campaign, wish: Wish) -> Prepared:
    """Run the campaign's queries, plan it and decide what is to run; changes nothing.

    Blocks that come late are left to later, unless all that is before them was made before and is taken from there.

    Raises:
        CampaignError, MissingInputError: as `facade.inputs.plan_on`.
        InputError, RefusedError, TransferError: as `facade.reuse.consider`.
    """
    _look_in(registry, site, campaign)
    plan, found = plan_on(campaign, registry, Standing())
    considered = consider(registry, site, plan, wish)
    while considered.plan.later and not considered.counts[Decision.RUN]:
        pairs = zip(considered.plan.quanta, considered.decided, strict=True)
        made = {quantum.wrapnum: one.source for quantum, one in pairs if one.source is not None}
        considered, found = _grown(registry, site, campaign, Prepared(considered, found), wish, made)
    return Prepared(considered, found)


def _look_in(registry: Registry, site: Site, campaign: Campaign) -> None:
    """Have inputs looked for where jobs read, and at home: what lies there alone may be copied, or missed by name."""
    registry.look_in(tuple(dict.fromkeys([*campaign.keeping.read(site.archive), site.archive])))


def planning(campaign: Campaign, considered: Considered, found: Found, wish: Wish) -> Planning | None:
    """Return what is to be kept for the planning of later blocks, or None if there are none."""
    if not considered.plan.later:
        return None
    return Planning(
        campaign=dumps(campaign.document), found=found.data, reuse=wish.reuse, verify=wish.verify
    )  # fmt: skip


def _grown(
    registry: Registry,
    site: Site,
    campaign: Campaign,
    before: Prepared,
    wish: Wish,
    made: Mapping[int, Success],
    attempt: Attempt | None = None,
) -> Prepared:
    """Plan the blocks that come next and decide on them; *made* is what each quantum of the plan so far has made.

    Without an *attempt*, all of that is taken from others.

    Raises:
        RefusedError: the plan so far is not the beginning of the new one.
        MissingInputError: a query found nothing, or what is read was not made.
    """
    _look_in(registry, site, campaign)
    plan, known = before.considered.plan, _names(before.considered.plan, made)
    standing = Standing(
        planned=len(plan.blocks), found=before.found, made=known, attnum=attempt.attnum if attempt else None
    )
    grown, found = plan_on(campaign, _Seen(registry, [one.task_id for one in made.values()]), standing)
    ensure_grown(plan, grown)
    if lost := unmade(grown, plan, made):
        raise MissingInputError(
            f"optional files were not made: {some(lost, SHOWN)}",
            remedy="let a query find those that were made, instead of depends",
        )
    late = consider(registry, site, late_part(grown, plan, made), wish, apart=attempt.id if attempt else None)
    return Prepared(before.considered.followed(grown, late), found)


def _names(plan: Plan, made: Mapping[int, Success]) -> dict[tuple[str, str], tuple[str, str]]:
    """Return, by (filename, compression) of each file that was made, what the plan calls it."""
    names = {}
    for quantum in plan.quanta:
        for use, file in zip(quantum.outputs, made[quantum.wrapnum].files, strict=True):
            if file is not None:
                names[file.filename, file.compression] = plan.files[use.file][:2]
    return names


def plan_later(registry: Registry, site: Site, attempt: Attempt, block: str) -> RunDirectory:
    """Plan *block* of an attempt, and what comes with it, if that is not done; return the run directory that has it.

    What goes wrong is noted with the block, for ``facade stat``; it can be tried again.

    Raises:
        RefusedError: jobs before it have not succeeded, or the plan so far is not the beginning of the new one.
        CampaignError, MissingInputError, TransferError, RegistryError: it cannot be planned.
    """
    waiting = registry.unplanned(attempt.id)
    if block in [one.name for one in waiting]:
        read_receipts(registry, open_run(registry, site, attempt))
        registry.mark([attempt.task_id, waiting[0].task_id], State.RUNNING, "it is being planned")
        try:
            _ensure_done(registry, attempt, block, waiting[0].name)
            _extend(registry, site, attempt)
        except Exception as error:
            said = str(error) if isinstance(error, FacadeError) else f"{type(error).__name__}: {error}"
            registry.mark([waiting[0].task_id], State.FAILED, said)
            raise
    run = made_again(registry, site, attempt)
    take_along(registry, site, run)
    return run


def _ensure_done(registry: Registry, attempt: Attempt, block: str, first: str) -> None:
    if block != first:
        raise RefusedError(f"{attempt.name}: block '{first}' is to be planned before '{block}'")
    states = registry.job_states(attempt.id)
    if undone := [str(number) for number, state in states.items() if state is not State.SUCCEEDED]:
        raise RefusedError(
            f"{attempt.name}: block '{block}' cannot be planned: jobs before it have not succeeded:"
            f" {some(undone, SHOWN)}",
            remedy=f"facade resume {attempt.name}",
        )


def _extend(registry: Registry, site: Site, attempt: Attempt) -> None:
    """Plan the blocks that come next in an attempt, and register them."""
    kept, plan = registry.planning(attempt.id), from_text(registry.plan_body(_plan_id(registry, attempt)).decode())
    document = loads(kept.campaign, f"{attempt.name}, as submitted")
    document.functions = site.function
    campaign = read(document)
    wish = Wish(reuse=NONE if kept.reuse == REFUSE else kept.reuse, verify=kept.verify, selection=ALL)
    carried = list(registry.carried(attempt.id, plan.keeping.read(site.archive)))
    before = Prepared(_considered(plan, carried), Found.read(kept.found))
    made = {one.wrapnum: _success(one) for one in carried if one.task_id is not None}
    considered, found = _grown(registry, site, campaign, before, wish, made, attempt)
    whole, remaining = considered.plan, considered.remaining
    registry.extend(
        attempt.id,
        len(plan.blocks),
        blocks=len(whole.blocks),
        plan_id=whole.plan_id,
        plan_body=whole.data,
        run_plan=(remaining.plan_id, remaining.data) if remaining is not whole else None,
        programs=considered.programs,
        found=found.data,
        **rows(considered, attempt.attnum, plan),
    )


def _plan_id(registry: Registry, attempt: Attempt) -> str:
    """Return the id of the attempt's plan as it is now: it may have grown since *attempt* was read."""
    return (registry.attempt(attempt.id) or attempt).plan_id


def _considered(plan: Plan, carried: Iterable[Carried]) -> Considered:
    """Return what was decided at submission; fingerprints of what is done need not be known again."""
    by_number = {one.wrapnum: one for one in carried}
    decided = [_decided(by_number[quantum.wrapnum]) for quantum in plan.quanta]
    prints = Fingerprints(("",) * len(plan.quanta), ("",) * len(plan.quanta))
    return Considered(plan=plan, programs={}, forced={}, prints=prints, decided=decided, gone={})


def _decided(one: Carried) -> Decided:
    decision = Decision(one.decision)
    source = _success(one) if decision is Decision.REUSE else None
    return Decided(decision, Reason(one.reason), source)


def _success(one: Carried) -> Success:
    assert one.task_id is not None
    return Success(one.task_id, one.attempt, tuple([None if file is None else Made(*file) for file in one.files]))
