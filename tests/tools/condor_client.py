"""Run by test_condor.py in the environment of a pool: submit by the Python bindings, wait, print `exit code N`.

condor_client.py job SCRIPT    one job of the vanilla universe
condor_client.py dag FILE      a DAG, or the rest of it if it left a rescue file; run in the DAG's directory
"""

import sys
from pathlib import Path

import htcondor2

SECONDS = 120


def main(verb: str, file: str) -> int:
    """Submit, wait, print."""
    submit = {"job": job, "dag": htcondor2.Submit.from_dag}[verb](file)
    cluster = htcondor2.Schedd().submit(submit).cluster()
    print(f"exit code {exit_code(Path(submit['log']), cluster)}")
    return 0


def job(script: str) -> htcondor2.Submit:
    """Describe the one job."""
    description = {"executable": "/bin/sh", "arguments": script, "output": "job.out", "error": "job.err"}
    return htcondor2.Submit({**description, "log": "job.log", "should_transfer_files": "no"})


def exit_code(log: Path, cluster: int) -> int:
    """Follow the job's event log to its end."""
    with htcondor2.JobEventLog(str(log)) as events:
        for event in events.events(stop_after=SECONDS):
            if event.cluster == cluster and event.type == htcondor2.JobEventType.JOB_TERMINATED:
                return int(event["ReturnValue"])
    raise TimeoutError(f"job {cluster} had not ended after {SECONDS} s")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
