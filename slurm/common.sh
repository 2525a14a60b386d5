# Sourced by the job scripts beside it: the environment, one run, and what to do when its time is up.
#
# MPIEPM      folder that run/setup.sh was run in; default: where sbatch was called
# MODULES     names for `module load`, as loaded when it was set up
# LAUNCHER    starts the ranks of a run: mpirun (default), srun, srun --mpi=pmix (Open MPI), srun --mpi=pmi2 (MPICH). Every rank
#             reporting "rank 0 of 1" means that it does not match the MPI library.
# MAX_RESTARTS  a job that is requeued more often than that gives up; default: 1000
MPIEPM=${MPIEPM:-$SLURM_SUBMIT_DIR}
for name in ${MODULES:-}; do module load "$name"; done
export PATH=${MPIEPM_BIN:-$MPIEPM/.venv/bin}:$PATH

# Compiled code is kept on the node's own disk; rank 0 and the first rank of every node compile first,
# and a packed job before its runs.
export NUMBA_CACHE_DIR=${NUMBA_CACHE_DIR:-${TMPDIR:-/tmp}/mpiepm-$(id -un)}

UNFINISHED=75  # the code of a run that has written a checkpoint and wants to be resumed
CANCELLED=143  # and of one that was told to end for good, by SIGTERM
TOLD=138       # and of one that SIGUSR1 found still starting, or of a `wait` that it interrupted

# simulate DIR COMMAND...: the run in DIR, begun or resumed, under this launcher; returns its code. SIGUSR1, which Slurm sends
# before the time is up, is passed on; with $stopping it has come already. Why a run failed is kept in DIR/failed.txt.
simulate() {
    local out=$1 errors code run cancelled=
    shift
    [ -z "${stopping:-}" ] || return $UNFINISHED
    errors=$(mktemp)
    mkdir -p "$out" && rm -f "$out/failed.txt"
    "$@" mpiepm run ${PARAMS:+"$PARAMS"} --out "$out" --resume --quiet 2> "$errors" &
    run=$!
    trap 'kill -USR1 "$run" 2>/dev/null' USR1
    trap 'cancelled=yes; kill -TERM "$run" 2>/dev/null' TERM
    [ -z "${stopping:-}" ] || kill -USR1 "$run" 2>/dev/null
    while kill -0 "$run" 2>/dev/null; do wait "$run"; done
    wait "$run"
    code=$?
    if [ $code = $TOLD ]; then code=$UNFINISHED; fi
    cat "$errors" >&2
    if grep -q 'checkpoint written: SIGTERM' "$errors"; then cancelled=yes; fi
    if [ -n "$cancelled" ]; then
        code=$CANCELLED
    elif [ $code != 0 ] && [ $code != $UNFINISHED ]; then
        { echo "exit code $code in job $SLURM_JOB_ID on $(hostname)"; cat "$errors"; } > "$out/failed.txt"
    fi
    rm -f "$errors"
    return $code
}

# requeue: this job again, to go on from the checkpoints.
requeue() {
    if [ "${SLURM_RESTART_COUNT:-0}" -ge "${MAX_RESTARTS:-1000}" ]; then
        echo "unfinished after $SLURM_RESTART_COUNT restarts: not requeued" >&2
        return
    fi
    local job=$SLURM_JOB_ID  # of one job of an array that may be the number of the whole array
    [ -z "${SLURM_ARRAY_TASK_ID:-}" ] || job=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID
    for _ in 1 2 3 4 5 6 7 8 9; do  # the controller may be away for a while
        scontrol requeue "$job" && return
        sleep 10
    done
}
