"""A small imaging pipeline in the shape of DMTN-059: simulated HSC exposures and nine command-line tasks.

Real pixel work with numpy, fitsio and sep only; nothing here imports facade. A task finds its files as an LSST
Gen2 task does: through the butler repository named on its command line (:mod:`hsc_mini.mapper`).
"""

import os

__version__ = "0.1"

# One execution is one core: BLAS threads would cost start-up time and could change the last bit of a sum.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
