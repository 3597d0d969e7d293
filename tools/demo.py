"""``make demo``: simulated exposures, the campaign of DMTN-059's test, and its three queries; every command is shown.

Uses what any user would: the embedded database and the local engine below $FACADE_HOME. Run again, it finds that all
is made, and asks the same questions.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import platformdirs

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
HOME = Path(os.environ.get("FACADE_HOME") or platformdirs.user_data_dir("facade", appauthor=False))
DATA = HOME / "demo"
CAMPAIGN = Path("wcl/demo/campaign.wcl")
INGESTS = (
    ("hsc_raw", (), "raw/*.fits"),
    ("hsc_bias", (), "calib/BIAS-*.fits"),
    ("hsc_flat", (), "calib/FLAT-*.fits"),
    ("ref_cat", (), "refcat-*.tar"),
    ("skymap", (), "skymap-*.json"),
    ("overlap", ("--set", "version=sim59"), "overlap-*.txt"),
)

QUERIES = (
    """select f.path ||'/'||f.filename from file_archive_info f, desfile d, proctag t
    where d.filetype='deepcoadd_calexp' and t.tag='{tag}' and t.pfw_attempt_id=d.pfw_attempt_id
      and f.desfile_id=d.id order by f.filename;""",
    """select modname, count(*) from pfw_wrapper w, pfw_attempt a
    where w.pfw_attempt_id=a.id and a.reqnum=11 and a.attnum={attnum} group by modname order by min(w.wrapnum);""",
    """select end_time - start_time from task t, pfw_attempt a
    where t.id=a.task_id and a.reqnum=11 and a.attnum={attnum};""",
)
"""As DMTN-059 prints them; only tag, request and attempt are the demo's own."""


def say(text: str) -> None:
    """Print a heading."""
    bold, plain = ("\033[1m", "\033[0m") if sys.stdout.isatty() else ("", "")
    print(f"\n{bold}{text}{plain}", flush=True)


def run(*words: str | Path, shown: str = "", quiet: bool = False) -> None:
    """Show a command, run it in the checkout, and end with its exit code if it fails."""
    argv = [str(word) for word in words]
    print(f"$ {shown or shlex.join(argv)}", flush=True)
    done = subprocess.run([str(BIN / argv[0]), *argv[1:]], cwd=ROOT, stdout=subprocess.DEVNULL if quiet else None)
    if done.returncode:
        sys.exit(done.returncode)


def ingest() -> None:
    """Simulate the exposures (once) and register everything that the campaign needs."""
    say("Simulated exposures: 8 visits of 2 ccds in 2 filters over one tract of 4 patches")
    if not (DATA / "truth.fits").exists():
        run("hsc-mini-simulate", DATA)
    for filetype, options, pattern in INGESTS:
        files = sorted(DATA.glob(pattern))
        run(
            "facade",
            "ingest",
            "--filetype",
            filetype,
            *options,
            *files,
            shown=shlex.join(["facade", "ingest", "--filetype", filetype, *options]) + f" {DATA}/{pattern}",
        )
    run("facade", "ingest", "--filetype", "butler_template", "wcl/demo/butler_template.yaml")


def latest() -> tuple[str, str]:
    """Return name and number of the newest attempt."""
    rows = subprocess.run(
        [str(BIN / "facade"), "sql", "--csv", "-c",
         "select reqnum, attnum, unitname from pfw_attempt order by id desc limit 1"],
        stdout=subprocess.PIPE, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    reqnum, attnum, unit = rows[1].split(",")
    return f"{unit}_r{reqnum}p{int(attnum):02d}", attnum


def main() -> None:
    """Run the demo."""
    started = time.monotonic()
    ingest()
    say("The campaign: 9 modules, 89 executions")
    run("facade", "submit", CAMPAIGN, "--wait")
    name, attnum = latest()
    say("Where is everything?")
    run("facade", "stat", name)
    tag = f"PROTO-0.{attnum}"
    run("facade", "tag", name, tag)
    say("DMTN-059's three queries: the tagged coadds, the executions of each step, the wall clock")
    for query in QUERIES:
        text = query.format(tag=tag, attnum=attnum)
        run("facade", "sql", "-c", text, shown=f'facade sql -c "{text}"')
    say("The same campaign once more: what was made is not made again")
    run("facade", "submit", CAMPAIGN, "--wait")
    coadd = f"calexp-HSC-I-0-0x1-r11p{int(attnum):02d}.fits"
    say(f"Done in {time.monotonic() - started:.0f} s. What to type next:")
    path = ".venv/bin/facade"
    for words, what in (
        (f"provenance {coadd}", "what this coadd was made from, down to the raws"),
        ("provenance HSCA90398616.fits --down", "what became of one raw exposure"),
        (f"stat {name} --json", "everything about the attempt, for machines"),
        (f"plan {CAMPAIGN}", "what would run, without running it"),
        (f"submit {CAMPAIGN} --wait --reuse none", "the next attempt, all anew"),
        ("sql", "the questions that have a name; facade db psql for all others"),
        ("db stop", "stop the database (any command starts it again)"),
    ):
        print(f"  {path} {words:<45} # {what}")


if __name__ == "__main__":
    main()
