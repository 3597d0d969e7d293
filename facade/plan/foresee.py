"""What planning will refuse whatever rows there are: found by ``facade check``, before a query runs."""

from __future__ import annotations

from dataclasses import replace

from facade.campaign import Examined
from facade.campaign.columns import loop_object, sourced
from facade.errors import Fault
from facade.plan.bench import Workbench
from facade.plan.datasets import Inputs
from facade.plan.quanta import ModulePlanner
from facade.plan.templates import Compiler


def foreseen(examined: Examined) -> list[Fault]:
    """Return the faults of sound modules that planning finds before it looks at a row.

    Those are loop values of the campaign, and whatever is compiled once for all quanta of a module.
    """
    sound, columns = examined.sound, examined.columns
    # what is wrong with the campaign as a whole is told already
    campaign = replace(examined.campaign, identity={"reqnum": 1, "unitname": "u", **examined.campaign.identity})
    bench = Workbench(campaign, Inputs())
    for index, block in enumerate(campaign.blocks):
        for module in block.modules:
            if module.name not in sound:
                continue
            if module.loop and loop_object(module) is None:
                ModulePlanner(bench, module, index).choices()
            rows = {
                f"{kind}.{name}": columns.mentioned  # any column may come, as far as one can tell
                for kind, specs in (("file", module.files), ("list", module.lists))
                for name, spec in specs.items()
                if sourced(spec)
            }
            Compiler(campaign, module, columns.late(module), rows, bench.faults).run()
    return bench.all_faults()
