"""A campaign of three blocks: greetings, what a query finds of them once they are there, and a report of that."""

from __future__ import annotations

from pathlib import Path

from e2e.world import World

CAMPAIGN = """
project = LATE
campaign = growth
reqnum = 4
unitname = u
ops_run_dir = ${project}/r${reqnum}/p${attnum:2}
run = r${reqnum}p${attnum:2}
blocklist = calib, coadd, last
<block calib>
    modulelist = hello
    divide_jobs_by = n
</block>
<block coadd>
    planned = late
    modulelist = gather
</block>
<block last>
    planned = late
    modulelist = report
</block>
n = 8, 9, 10
wanted = 9:10
<filename_pattern>
    hello = hello-${n}-${run}.txt
    all = all-${n}-${run}.txt
    report = report-${run}.txt
    list = ${modulename}-w${wrapnum:5}-${run}.list
</filename_pattern>
<directory_pattern>
    <top>
        ops = ${ops_run_dir}
        runtime = out
    </top>
</directory_pattern>
<filetype_metadata>
    <greeting>
        metadata_table = greeting
        <columns>
            n = int
        </columns>
    </greeting>
    <gathered>
        metadata_table = greeting
        <columns>
            n = int
        </columns>
    </gathered>
    <report>
    </report>
</filetype_metadata>
<module hello>
    wrappername = generic
    wrapperloop = n
    <exec_1>
        execname = sh
        was_generated_by = file.out
        <cmdline>
            c = 'HELLO; echo hello ${n} > ${file.out.fullname}'
        </cmdline>
    </exec_1>
    <file>
        <out>
            filetype = greeting
            filepat = hello
            dirpat = top
        </out>
    </file>
</module>
<module gather>
    wrappername = generic
    wrapperloop = n
    loopobj = file.greeting
    <exec_1>
        execname = sh
        used = file.greeting
        was_generated_by = file.all
        ancestry = file.greeting:file.all
        <cmdline>
            c = 'GATHER; cat ${file.greeting.fullname} > ${file.all.fullname}'
        </cmdline>
    </exec_1>
    <file>
        <greeting>
            query_fields = filetype, n
            filetype = greeting
            n = ${wanted}
            divide_by = n
            dirpat = top
        </greeting>
        <all>
            filetype = gathered
            filepat = all
            dirpat = top
        </all>
    </file>
</module>
<module report>
    wrappername = generic
    <exec_1>
        execname = sh
        used = list.found.all
        was_generated_by = file.report
        ancestry = list.found.all:file.report
        <cmdline>
            c = 'xargs cat < ${list.found.fullname} > ${file.report.fullname}'
        </cmdline>
    </exec_1>
    <list>
        <found>
            query_fields = filetype
            filetype = gathered
            columns = all.fullname
            sortkey = n
            filepat = list
            dirpat = top
        </found>
    </list>
    <file>
        <all>
            listonly = True
            dirpat = top
        </all>
        <report>
            filetype = report
            filepat = report
            dirpat = top
        </report>
    </file>
</module>
"""


def campaign(home: World, hello: str = "true", gather: str = "true") -> Path:
    """Write the campaign; *hello* and *gather* are run first in the jobs of the first two blocks."""
    path = home.home / "campaign.wcl"
    path.write_text(CAMPAIGN.replace("HELLO", hello).replace("GATHER", gather))
    return path


def report_of(home: World, attempt: int) -> str:
    """Return the text of an attempt's report."""
    return (home.home / f"archive/LATE/r4/p{attempt:02}/report-r4p{attempt:02}.txt").read_text()
