# Sourced by the job scripts beside it: the environment, one run, and what to do when its time is up.
#
# MPIEPM      folder that run/setup.sh was run in; default: where sbatch was called
# MODULES     names for `module load`, as loaded when it was set up
# LAUNCHER    starts the ranks of a run: mpirun (default), srun, srun --mpi=pmix (Open MPI), srun --mpi=pmi2 (MPICH). Every rank
#             reporting "rank 0 of 1" means that it does not match the MPI library.
# MAX_RESTARTS  a job that is requeued more often than that gives up; default: 1000
MPIEPM=${MPIEPM:-$SLURM_SUBMIT_DIR}
began=$SECONDS

# fail REASON: end the job before its runs, in the folders ${runs[@]}, begin; `mpiepm campaign status` tells why.
fail() {
    local out reason="$1 in job $SLURM_JOB_ID on $(hostname)"
    echo "$reason" >&2
    for out in ${runs[@]+"${runs[@]}"}; do
        [ -z "$out" ] || [ -e "$out/archive.h5" ] || { mkdir -p "$out" && echo "$reason" > "$out/failed.txt"; }
    done
    exit 1
}

# The function `module` is missing in the batch shells of some sites: it is looked for where it is usually defined.
load_modules() {
    local file name
    for file in "${MODULESHOME:-/nowhere}/init/bash" /etc/profile.d/modules.sh /etc/profile.d/lmod.sh; do
        type module >/dev/null 2>&1 && break
        [ ! -r "$file" ] || . "$file"
    done
    type module >/dev/null 2>&1 || fail "module load $*: there is no \`module\` in this shell"
    for name in "$@"; do module load "$name" || fail "module load $name failed"; done
}
[ -z "${MODULES:-}" ] || load_modules $MODULES
export PATH=${MPIEPM_BIN:-$MPIEPM/.venv/bin}:$PATH

# Compiled code is kept on the node's own disk; rank 0 and the first rank of every node compile first,
# and a packed job before its runs.
export NUMBA_CACHE_DIR=${NUMBA_CACHE_DIR:-${TMPDIR:-/tmp}/mpiepm-$(id -u)}

# When the job is cancelled Slurm may send SIGTERM to mpirun as well. Open MPI 4 then kills its ranks after so many seconds (1 if not
# set), in which they write a checkpoint; Open MPI 5 after a quarter of a second, whatever one sets.
export OMPI_MCA_odls_base_sigkill_timeout=${OMPI_MCA_odls_base_sigkill_timeout:-10}

UNFINISHED=75  # the code of a run that has written a checkpoint and wants to be resumed
CANCELLED=143  # and of one that was told to end for good, by SIGTERM
TOLD=138       # and of one that SIGUSR1 found still starting, or of a `wait` that it interrupted

# simulate DIR COMMAND...: the run in DIR, begun or resumed, under this launcher; returns its code. SIGUSR1, which Slurm sends
# before the time is up, is passed on; with $stopping it has come already. So is SIGTERM, as SIGUSR1: mpirun would kill the ranks
# soon after a SIGTERM. Why a run failed is kept in DIR/failed.txt.
simulate() {
    local out=$1 errors code run cancelled=
    shift
    [ -z "${stopping:-}" ] || return $UNFINISHED
    errors=$(mktemp)
    mkdir -p "$out" && rm -f "$out/failed.txt"
    "$@" mpiepm run ${PARAMS:+"$PARAMS"} --out "$out" --resume --quiet 2> "$errors" &
    run=$!
    trap 'stopping=yes; kill -USR1 "$run" 2>/dev/null' USR1
    trap 'cancelled=yes; kill -USR1 "$run" 2>/dev/null' TERM
    [ -z "${stopping:-}" ] || kill -USR1 "$run" 2>/dev/null
    while kill -0 "$run" 2>/dev/null; do wait "$run"; done
    wait "$run"
    code=$?
    if [ $code = $TOLD ]; then code=$UNFINISHED; fi
    cat "$errors" >&2
    if grep -q 'checkpoint written: SIGTERM' "$errors"; then cancelled=yes; fi
    if [ -n "$cancelled" ] && preempted; then
        code=$UNFINISHED
    elif [ -n "$cancelled" ]; then
        code=$CANCELLED
    elif [ $code != 0 ] && [ $code != $UNFINISHED ]; then
        { echo "exit code $code in job $SLURM_JOB_ID on $(hostname)"; cat "$errors"; } > "$out/failed.txt"
    fi
    rm -f "$errors"
    return $code
}

# preempted: is this job about to make room for another? Slurm then sends SIGTERM as well, up to the grace time of the partition
# before it requeues or cancels the job.
preempted() { scontrol show job "$SLURM_JOB_ID" 2>/dev/null | grep -q 'PreemptTime=[0-9]'; }

# seconds_left: until the time of this job is up; nothing if Slurm does not say.
seconds_left() {
    local end=${SLURM_JOB_END_TIME:-}
    [ -n "$end" ] || end=$(date --date="$(squeue --noheader --job "$SLURM_JOB_ID" --format=%e 2>/dev/null)" +%s 2>/dev/null) || return
    echo $((end - $(date +%s)))
}

# requeue: this job again, to go on from the checkpoints. One that was told to end as soon as it began would do so for ever.
requeue() {
    local left passed=$((SECONDS - began))
    if [ -n "${stopping:-}" ] && ! preempted && left=$(seconds_left) && [ "${left:-0}" -gt $((5 * passed)) ]; then
        echo "told to end $passed s after it began, $left s before its time is up: not requeued; the time of the job must be" \
            "longer than the warning (--signal=B:USR1@180)" >&2
        return
    fi
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
