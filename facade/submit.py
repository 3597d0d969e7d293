"""From a campaign file to a registered attempt with its run directory. What runs it is `facade.run`'s business.

The order is the guarantee: rows in the registry first, in one transaction, then the run directory, then the engine. A
submission that dies in between leaves an attempt that ``facade resume`` carries on with.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path

from facade.errors import InputError
from facade.materialise import job_path, materialise, tasks
from facade.plan import Plan, from_text
from facade.plan.memory import uncollected
from facade.recorded import rows
from facade.registry import Registry
from facade.registry.values import Attempt, Planning
from facade.registry.values import FileType as RecordedType
from facade.reuse import Considered
from facade.site import Site
from facade.wcl import bind_attempt


def missing_programs(plan: Plan, site: Site) -> list[str]:
    """Return the programs of *plan* that are not on the path of jobs on this host, each with its modules."""
    path = job_path(plan.environment)
    wanted: dict[str, list[str]] = {}
    for quantum in plan.quanta:
        for one in quantum.execs:
            modules = wanted.setdefault(str(one.argv[0]), [])
            if quantum.module not in modules:
                modules.append(quantum.module)
    return [f"{name} (module {', '.join(m)})" for name, m in wanted.items() if not shutil.which(name, path=path)]


def read_plan(path: Path) -> Plan | None:
    """Return the plan in *path*, or None if the file does not look like a plan."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: {getattr(error, 'strerror', None) or 'not text'}") from None
    return from_text(text) if text.startswith("{") else None


@uncollected()
def register(
    registry: Registry,
    site: Site,
    considered: Considered,
    *,
    operator: str,
    engine: str,
    planning: Planning | None = None,
) -> Attempt:
    """Make an attempt of what is to run of a plan: number, rows, run directory.

    *planning* is what the planning of its later blocks will go on from.

    Raises:
        InputError: blocks of the plan are to be planned later, and that cannot be done from the plan alone.
        RefusedError: the attempt number that the campaign asks for is taken.
    """
    plan, whole = considered.remaining, considered.plan
    if whole.later and planning is None:
        raise InputError(
            f"the plan alone does not say how its block '{whole.later[0].name}' is to be planned",
            remedy="submit the campaign itself",
        )
    own = dict(zip([q.wrapnum for q in whole.quanta], considered.prints.own, strict=True))
    wanted = plan.identity.get("attnum")
    registry.ensure_metadata_tables(_definitions(plan))
    for name in {site.archive, plan.keeping.target} - {""}:
        registry.set_archive(name, site.place(name).root)
    identity = {key: value for key, value in plan.identity.items() if key != "attnum"}
    with registry.submission(
        identity, uuid.uuid4(), operator, int(str(wanted)) if wanted is not None else None
    ) as submission:
        number = submission.attnum
        run_dir = site.runs / submission.name
        ids = submission.register(
            plan_id=whole.plan_id,
            plan_body=whole.data,
            run_plan=(plan.plan_id, plan.data) if plan is not whole else None,
            programs=considered.programs,
            run_dir=str(run_dir),
            engine=engine,
            archive_path=bind_attempt(plan.archive_path, number),
            blocks=[{"name": b.name, "modules": b.modules} for b in plan.blocks],
            later=[{"name": b.name, "modules": b.modules} for b in plan.later],
            planning=planning,
            **rows(considered, number),
        )
    attempt = registry.attempt(ids.attempt_id)
    assert attempt is not None
    materialise(site, attempt, plan, tasks(ids, own))
    return attempt


def _definitions(plan: Plan) -> Mapping[str, RecordedType]:
    return {
        name: RecordedType(metadata_table=definition["metadata_table"], columns=definition["columns"])
        for name, definition in plan.filetypes.items()
        if definition["metadata_table"]
    }
