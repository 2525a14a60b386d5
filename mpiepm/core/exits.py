"""How `mpiepm run` ends: the exit codes that job scripts may rely on."""

FINISHED = 0
FAILED = 1
BAD_INPUT = 2    # nothing was done and nothing lost
UNFINISHED = 75  # EX_TEMPFAIL: a checkpoint is written; resume, or requeue the job
