# Sourced by the scripts beside it: sets mpiepm up if needed and puts it on the path. `launch N COMMAND` runs N ranks.
#   . run/environment.sh [--test]
run/setup.sh "$@"
export PATH=$PWD/.venv/bin:$PATH
if [ "$(id -u)" = 0 ]; then
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi
# More ranks than cores is slow but must work (Open MPI refuses it otherwise; MPICH does not ask).
export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_mpi_yield_when_idle=1
launch() { mpirun -n "$@"; }
