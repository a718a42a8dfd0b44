# SPDX-License-Identifier: Apache-2.0
"""What a batch system is asked for; no job is submitted, since none is here."""

import re

import pytest

from medvol.cohort.drivers.jobqueue import SYSTEMS, Jobs, cluster_of, seconds_of

pytest.importorskip("dask_jobqueue")

ASKED = {  # 4 hours in the queue "night", 4 cores and 16 GB
    "slurm": ["#SBATCH -p night", "#SBATCH --cpus-per-task=4", "#SBATCH --mem=15G",
              "#SBATCH -t 04:00:00"],
    "pbs": ["#PBS -q night", "#PBS -l select=1:ncpus=4:mem=15GB", "#PBS -l walltime=04:00:00"],
    "sge": ["#$ -q night", "#$ -l h_rt=04:00:00"],
    "lsf": ["#BSUB -q night", "#BSUB -n 4", "#BSUB -M 16000000", "#BSUB -W 04:00"],
    "htcondor": ["MY.DaskWorkerCores = 4", "MY.DaskWorkerMemory = 16000000000",
                 "+MaxRuntime = 14400"],
}  # fmt: skip


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_job_asks_for_what_its_worker_needs(system: str) -> None:
    with cluster_of(Jobs(system, "night", 3, 4, 16_000_000_000, 14400)) as cluster:
        script = cluster.job_script()
        assert cluster.worker_spec == {}  # nothing is submitted yet
    for line in ASKED[system]:
        assert line in script.splitlines()
    # the last word of a kind counts: a case at a time; Dask does not watch the memory; the worker
    # ends 300 s before its job, or up to 2 * 300 s sooner
    assert re.findall(r"--nthreads (\d+)", script)[-1] == "1"
    assert re.findall(r"--memory-limit (\S+)", script)[-1] == "0"
    assert "--lifetime 13800s --lifetime-stagger 300s" in script


def test_a_short_job_has_a_worker_for_some_of_its_time() -> None:
    with cluster_of(Jobs("slurm", "", 1, 1, 1_000_000_000, 600)) as cluster:
        script = cluster.job_script()
    assert "--lifetime 240s --lifetime-stagger 60s" in script
    assert "#SBATCH -p" not in script


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("04:00:00", 14400), ("04:30", 16200), ("1-00:00:30", 86430), ("100:00:00", 360000),
     ("00:10", 600)],
)  # fmt: skip
def test_a_walltime_is_read_as_batch_systems_write_it(text: str, seconds: int) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "4", "4h", "04:60", "00:09:59", "x04:00"])
def test_a_walltime_that_is_none_or_too_short_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="walltime is"):
        seconds_of(text)
