"""The array script of a table: a task per row and seed, which need nothing of one another. No axes or units."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from simcrop.experiments.tables.jobs import Job


def chains(jobs: Sequence[Job]) -> list[tuple[str, int]]:
    """Rows and seeds that have something left to do, in their order."""
    return list(dict.fromkeys((job.row, job.seed) for job in jobs if not job.done))


def array_script(table: str, jobs: Sequence[Job], command: Sequence[str], out: Path) -> str:
    """For `sbatch`. Each task runs the jobs of its row and seed one after the other and goes on where it was left;
    when all are done the command itself, with --resume, writes the table.
    """
    every = chains(jobs)
    words = shlex.join([sys.executable, "-m", "simcrop", *command])
    tasks = "\n".join(f'  {n}) only="{row}/{seed}" ;;' for n, (row, seed) in enumerate(every))
    return f"""#!/bin/bash
#SBATCH --job-name=simcrop-{table}
#SBATCH --array=0-{len(every) - 1}
#SBATCH --gres=gpu:1
#SBATCH --cpus-per-task=8
#SBATCH --signal=B:TERM@120
#SBATCH --requeue
#SBATCH --output={shlex.quote(str(out / "slurm"))}-%A_%a.txt
# A task per row and seed; sbatch it again and each goes on where it was left. Set partition, account and time here.
# When all have ended, this writes the table:
#   {words} --resume
case "$SLURM_ARRAY_TASK_ID" in
{tasks}
  *) echo "no task $SLURM_ARRAY_TASK_ID" >&2; exit 2 ;;
esac
exec {words} --resume --only "$only"
"""
