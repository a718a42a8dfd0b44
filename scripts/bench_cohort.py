# SPDX-License-Identifier: Apache-2.0
"""What a cohort promises: nothing lost, nothing twice, whatever is killed or goes wrong.

    python scripts/bench_cohort.py kills [--units 500] [--kills 200] [--driver dask address serial]
    python scripts/bench_cohort.py poison | disk | ledger | away | two | scale | same | speed

kills: processes of a cohort at work are killed at random moments, children, workers, scheduler and
driver; those that end are started again. poison: a case that crashes its process, one that hangs in
native code, one that eats memory. disk: it is full for a while; ledger: nothing can be appended to
it; away: the output folder is. two: two drivers are started on one output. scale: what a case costs
beside 10 ms of work. same: the masks of all drivers. speed: two workers against one on one
core, and against one on all.

All but the last two put a stub in place of the network, see `bench/cohort_stub.py`. Exit code 1
where a promise is not kept.
"""

import sys

from bench import cohort_promises

if __name__ == "__main__":
    sys.exit(cohort_promises.main(__doc__))
