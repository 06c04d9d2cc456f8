"""Keeps BLAS to one thread. Imported before anything that loads numpy, when OpenBLAS reads its variables.

Fits multiply narrow matrices thousands of times. OpenBLAS, which numpy brings, divides each product among all processors, and the
threads then wait for each other: a value and gradient of 60,000 events takes ten times as long. Likelihoods have threads of their own.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
