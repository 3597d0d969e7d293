"""Run by test_htcondor.py in the environment of a pool; prints one JSON value on stdout.

condor_client.py submit RUN [DONE …]    the cluster
condor_client.py remote RUN [DONE …]    the same, for hosts that do not see the run directory
condor_client.py status CLUSTER         EngineStatus
condor_client.py running RUN            who is at it
condor_client.py remove CLUSTER         whether it was there
condor_client.py hold|release CLUSTER   null
"""

import dataclasses
import json
import sys
from pathlib import Path

from facade.engines import htcondor, running
from facade.engines.descriptions import Hosts, Options
from facade.engines.rundir import RunDirectory
from facade.errors import FacadeError


def submit(place: str, *done: str, hosts: Hosts | None = None) -> str:
    """Submit the run; its final node notes what DAGMan told it."""
    finish = ["/bin/sh", "-c", 'echo "$FACADE_DAG_STATUS $FACADE_DAG_FAILED $WORD" >> finished']
    return htcondor.submit(
        RunDirectory.read(Path(place)),
        done=[int(number) for number in done],
        environment={"PATH": "/usr/bin:/bin", "WORD": 'it\'s "one" $(word)'},
        finish_argv=finish,
        hosts=hosts,
        options=Options(memory=64, disk=10, backoff=1, margin=1, commands={"rank": "0"}),
    )


def remote(place: str, *done: str) -> str:
    """Submit the run for hosts that do not see it; a file ``passwd`` beside it goes along."""
    environment = {"PATH": "/usr/bin:/bin", "PGPASSFILE": "passwd"}
    files = (str(Path(place, "passwd")),)
    return submit(place, *done, hosts=Hosts(python=sys.executable, environment=environment, remote=True, files=files))


VERBS = {
    "submit": submit,
    "remote": remote,
    "status": lambda cluster: dataclasses.asdict(htcondor.status(cluster)),
    "running": lambda place: running("htcondor", RunDirectory.read(Path(place))),
    "remove": htcondor.remove,
    "hold": htcondor.hold,
    "release": htcondor.release,
}

try:
    print(json.dumps(VERBS[sys.argv[1]](*sys.argv[2:])))
except FacadeError as error:
    sys.exit(f"{type(error).__name__}: {error}")
