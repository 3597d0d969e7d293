"""htcondor2.dags, HTCondor's own writer of DAGs: three layers with edges one to one. dags.py JOBS FOLDER"""

import sys

import htcondor2
from htcondor2 import dags

jobs, folder = int(sys.argv[1]), sys.argv[2]
dag = dags.DAG()
layer = None
for step in (1, 2, 3):
    described = htcondor2.Submit(
        f"executable = /bin/true\narguments = --visit $(visit) --ccd $(ccd) --step {step}\nrequest_memory = 1024"
    )
    values = [{"visit": str(chain // 100), "ccd": str(chain % 100)} for chain in range(jobs // 3)]
    named = {"name": f"step{step}", "submit_description": described, "vars": values}
    layer = dag.layer(**named) if layer is None else layer.child_layer(**named, edge=dags.OneToOne())
dags.write_dag(dag, folder)
