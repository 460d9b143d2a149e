"""Run jobs in many threads that take turns at almost every instruction."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor


def side_by_side(jobs, threads=8):
    """Results of the jobs, in order; the threads start together."""
    threads = min(threads, len(jobs))  # the pool starts no thread without a job
    before, start = sys.getswitchinterval(), threading.Barrier(threads, timeout=60)
    with ThreadPoolExecutor(threads, initializer=start.wait) as pool:
        sys.setswitchinterval(1e-6)
        try:
            return list(pool.map(lambda job: job(), jobs))
        finally:
            sys.setswitchinterval(before)
