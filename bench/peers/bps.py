"""ctrl_bps with its HTCondor plug-in: generic workflow -> DAG, a submit file for each job. bps.py JOBS FOLDER

The step that compares: no QuantumGraph, no clustering, no submission.
"""

import sys
from pathlib import Path

from lsst.ctrl.bps import BpsConfig, GenericWorkflow, GenericWorkflowExec, GenericWorkflowFile, GenericWorkflowJob
from lsst.ctrl.bps.htcondor import HTCondorService

jobs, folder = int(sys.argv[1]), Path(sys.argv[2])
SERVICE = "lsst.ctrl.bps.htcondor.HTCondorService"
config = BpsConfig(
    {
        "wmsServiceClass": SERVICE, "uniqProcName": "bench", "submitPath": str(folder), "project": "bench",
        "campaign": "bench", "operator": "bench", "payload": {"payloadName": "bench"}, "computeSite": "here",
        "site": {"here": {"profile": {"condor": {}}}}, "bpsUseShared": True, "overwriteJobFiles": True,
        "memoryLimit": 491520,
    },
    wms_service_class_fqn=SERVICE,
)  # fmt: skip
workflow = GenericWorkflow("bench")
workflow.run_attrs = {"bps_isjob": "True", "bps_project": "bench"}
program = GenericWorkflowExec("step", "/bin/true", False)
shared = GenericWorkflowFile("shared", "/shared/file", wms_transfer=True, job_shared=True)
workflow.add_file(shared)
for chain in range(jobs // 3):
    before = None
    for step in (1, 2, 3):
        job = GenericWorkflowJob(
            f"j{3 * chain + step:06}",
            label=f"step{step}",
            executable=program,
            arguments="<FILE:shared> --visit {visit} --ccd {ccd}",
            cmdvals={"visit": chain // 100, "ccd": chain % 100},
            memory_multiplier=2.0,
            request_memory=1024,
            request_memory_max=4096,
            number_of_retries=3,
            retry_unless_exit=2,
            tags={"visit": chain // 100, "ccd": chain % 100},
            compute_site="here",
        )
        workflow.add_job(job, parent_names=[before] if before else None)
        workflow.add_job_inputs(job.name, [shared])
        before = job.name
HTCondorService(config).prepare(config, workflow, str(folder))
