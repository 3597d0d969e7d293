"""What happens inside one DAG node: the one execution path of every engine.

`runner.run_job` is the way in; ``python -m facade.job CAPSULE`` runs one job, ``facade.job.worker`` many, one by one.
Nothing here imports the registry, astropy or the command line before it is needed: a job must start fast.
"""
