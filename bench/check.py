"""How long does ``facade check`` take? A campaign of 300 modules, each after the one before, in 10,000 lines.

    python bench/check.py [MODULES]

CPU of this process, imports left out: reading, every check of `facade.campaign`, and what planning says without rows.
"""

from __future__ import annotations

import sys
import time

from facade.campaign import examine
from facade.plan.foresee import foreseen
from facade.wcl import loads

HEAD = """
project = BENCH
campaign = check
reqnum = 1
unitname = bench
ops_run_dir = ${project}/${campaign}/r${reqnum}/${unitname}/p${attnum:2}
run = r${reqnum}p${attnum:2}
blocklist = b
<filename_pattern>
    img = ${flabel}-${band}-${visit}-${ccd:3}-${run}.fits
    list = ${modulename}-w${wrapnum:5}-${run}.list
</filename_pattern>
<directory_pattern>
    <work>
        ops = ${ops_run_dir}/${flabel}
        runtime = ${flabel}
    </work>
</directory_pattern>
<filetype_metadata>
    <img>
        metadata_table = image
        <columns>
            visit = int
            ccd = int
            band = text
            seeing = float header:SEEING
        </columns>
    </img>
</filetype_metadata>
"""

MODULE = """
# one step of many
<module m{number}>
    wrappername = generic
    wrapperloop = visit, ccd
    loopobj = file.before
    <exec_1>
        execname = step
        used = file.before, list.all
        was_generated_by = file.after
        ancestry = file.before:file.after
        <cmdline>
            _1 = ${{file.before.fullname}}
            list = ${{list.all.fullname}}
            o = ${{file.after.fullname}}
            id = visit=${{visit}} ccd=${{ccd}}
        </cmdline>
    </exec_1>
    <file>
        <before>
            {source}
            divide_by = visit, ccd
            dirpat = work
            flabel = before
        </before>
        <after>
            filetype = img
            filepat = img
            flabel = m{number}
            dirpat = work
        </after>
    </file>
    <list>
        <all>
            {source}
            columns = visit, ccd, band
            filepat = list
            flabel = list
            dirpat = work
        </all>
    </list>
</module>
"""
FIRST = "query_fields = band\n    band = r\n    filetype = img"


def campaign(modules: int) -> str:
    """Return the text of a campaign without a fault."""
    names = ", ".join(f"m{number}" for number in range(modules))
    sources = [FIRST, *(f"depends = m{number}.file.after" for number in range(modules - 1))]
    steps = [MODULE.format(number=number, source=source) for number, source in enumerate(sources)]
    return f"{HEAD}<block>\n<b>\nmodulelist = {names}\n</b>\n</block>\n" + "".join(steps)


def main() -> None:
    text = campaign(int(sys.argv[1]) if len(sys.argv) > 1 else 300)
    text += "# a comment\n" * max(0, 10_000 - text.count("\n"))
    took = []
    for _ in range(3):
        start = time.process_time()
        examined = examine(loads(text, "bench.wcl"))
        faults = [*examined.faults, *foreseen(examined)]
        took.append(time.process_time() - start)
        assert not faults, faults[0]
    print(f"{text.count(chr(10)):,} lines, {len(examined.campaign.modules)} modules checked in {min(took):.2f} s CPU")


if __name__ == "__main__":
    main()
