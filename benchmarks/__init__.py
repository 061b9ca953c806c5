"""Speed against named rivals (`make bench`), and proofs by measurement: python -m benchmarks.prove_...

One thread a numerical call, as in the program itself.
"""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"
