# Sourced by the scripts beside it: sets mpiepm up if needed and puts it on the path. `launch N COMMAND` runs N ranks.
#   . run/environment.sh [--test]
run/setup.sh "$@"
export PATH=$PWD/.venv/bin:$PATH
if [ "$(id -u)" = 0 ]; then
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 PRTE_ALLOW_RUN_AS_ROOT=1 PRTE_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi
# More ranks than cores is slow but must work (Open MPI 4 and 5 refuse it otherwise; MPICH does not ask).
export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_mpi_yield_when_idle=1 PRTE_MCA_rmaps_default_mapping_policy=:oversubscribe
launch() { mpirun -n "$@"; }
