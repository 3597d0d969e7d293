"""How long quanta took so far."""

from __future__ import annotations

from collections.abc import Sequence

from facade.registry.connection import Session

ATTEMPTS = 5
"""How many attempts are looked at, the newest: programs change."""

MEDIANS = """
with newest as (
  select a.id from pfw_attempt a join pfw_request r on r.reqnum = a.reqnum
   where r.project = %(project)s and r.campaign is not distinct from %(campaign)s
     and exists (select from quantum q join task t on t.id = q.task_id and t.state = 'succeeded'
                  where q.pfw_attempt_id = a.id and q.modname = any(%(modules)s))
   order by a.id desc limit %(attempts)s
)
select q.modname, percentile_cont(0.5) within group (order by extract(epoch from t.end_time - t.start_time)), count(*)
  from newest n join quantum q on q.pfw_attempt_id = n.id and q.modname = any(%(modules)s)
  join task t on t.id = q.task_id and t.state = 'succeeded' and t.start_time is not null and t.end_time is not null
 group by q.modname
"""


def medians(
    session: Session, project: str, campaign: str | None, modules: Sequence[str]
) -> dict[str, tuple[float, int]]:
    """Return, by module, the median of the seconds that quanta took, and of how many.

    They are those that succeeded in the newest attempts of a campaign that ran any; what never ran is left out.
    """
    wanted = {"project": project, "campaign": campaign, "modules": list(modules), "attempts": ATTEMPTS}
    return {name: (float(seconds), number) for name, seconds, number in session.tuples(MEDIANS, wanted)}
