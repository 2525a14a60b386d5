#!/usr/bin/env bash
# Set mpiepm up in .venv beside this folder:   run/setup.sh [--test]
#
# Where MPI, HDF5 and FFTW come from (the first that fits; MPIEPM_STACK=cluster|debian|pypi decides it for you):
#   cluster  mpicc is on the path and HDF5_ROOT (or HDF5_DIR, HDF5_HOME, EBROOTHDF5) is set, as by `module load`: those are used;
#            if that HDF5 is serial, h5py comes from PyPI (rank 0 then writes the files)
#   debian   the distribution's OpenMPI, parallel HDF5 and FFTW; installed with apt-get when run as root
#   pypi     neither: MPICH and FFTW from PyPI wheels, serial HDF5 (rank 0 then writes the files, row by row)
#
# Idempotent: a second run sees its own stamp and returns at once. A folder that was moved or copied, or whose Python is gone, is
# set up anew. Built wheels are kept in
# ${XDG_CACHE_HOME:-~/.cache}/mpiepm/wheels, so a fresh clone on the same machine is set up in seconds too; without a home, in .venv.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
venv=$PWD/.venv
requirements=(-r run/requirements.txt)
[ "${1:-}" = --test ] && requirements+=(-r run/requirements-test.txt)

say() { printf 'setup: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }
hdf5_root=${HDF5_ROOT:-${HDF5_DIR:-${HDF5_HOME:-${EBROOTHDF5:-}}}}
hdf5_is_parallel() { grep -qsE '^#define H5_HAVE_PARALLEL\b' "$hdf5_root"/include/H5pubconf*.h; }

stamp=$venv/.mpiepm-setup
# A virtual environment names its place in its programs, and the Python it was made with.
works() { [ "$(cat "$venv/.mpiepm-place" 2>/dev/null)" = "$PWD" ] && "$venv/bin/python" -c '' 2>/dev/null; }
wanted=$(cat run/setup.sh run/requirements*.txt pyproject.toml | sha256sum | cut -c1-16)
# A test set-up serves a plain run as well, not the other way round.
if [ -f "$stamp" ] && [ -x "$venv/bin/mpiepm" ] && [ -z "${MPIEPM_STACK:-}" ]; then
    read -r done_for kind _ < "$stamp"
    if [ "$done_for" = "$wanted" ] && { [ "${1:-}" != --test ] || [ "$kind" = test ]; } && works; then exit 0; fi
fi

debian_is_complete() { command -v mpicc.openmpi gcc pkg-config >/dev/null && pkg-config --exists hdf5-openmpi fftw3; }
python_of_this_machine() {  # the newest interpreter that the pinned packages support
    for python in "${PYTHON:-python3}" python3.14 python3.13 python3.12 python3.11 /usr/bin/python3; do
        if "$python" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null
        then echo "$python"; return; fi
    done
}
install_debian_packages() {
    say "installing from the distribution: OpenMPI, parallel HDF5, FFTW, a C compiler, Python"
    export DEBIAN_FRONTEND=noninteractive
    local packages=(openmpi-bin libopenmpi-dev libhdf5-openmpi-dev libfftw3-dev gcc libc6-dev pkg-config)
    apt-get update -qq && apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null || return 1
    [ -n "$(python_of_this_machine)" ] && return
    apt-get install -y -qq --no-install-recommends python3 python3-dev python3-venv >/dev/null || return 1
    [ -n "$(python_of_this_machine)" ] && return
    apt-get install -y -qq --no-install-recommends python3.11 python3.11-dev python3.11-venv >/dev/null
}

stack=${MPIEPM_STACK:-}
if [ -z "$stack" ]; then
    if command -v mpicc >/dev/null && [ -n "$hdf5_root" ]; then stack=cluster
    elif debian_is_complete && [ -n "$(python_of_this_machine)" ]; then stack=debian
    elif [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null && install_debian_packages; then stack=debian
    else stack=pypi; fi
fi
say "MPI, HDF5 and FFTW: $stack"
if [ "$stack" = pypi ] && command -v mpicc >/dev/null; then
    say "$(command -v mpicc) is not used: no HDF5 is loaded (HDF5_ROOT); MPIEPM_STACK=cluster run/setup.sh would use it"
fi
python=$(python_of_this_machine)
[ -n "$python" ] || fail "no Python 3.11 ... 3.14 with venv found (on Debian: python3-venv; or set PYTHON=/path/to/python3)"

if [ -d "$venv" ] && ! works; then
    say "the environment in .venv was made for another place, or with a Python that is gone: making it anew"
    rm -rf "$venv"
fi
rm -f "$stamp"
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
echo "$PWD" > "$venv/.mpiepm-place"
pip() { "$venv/bin/python" -m pip --quiet --disable-pip-version-check "$@"; }
pip install -r run/requirements-build.txt

tag=$("$venv/bin/python" -c 'import platform, sys; print(f"{sys.implementation.cache_tag}-{platform.machine()}")')
kept=${XDG_CACHE_HOME:-${HOME:-/dev/null}/.cache}/mpiepm/wheels
{ mkdir -p "$kept" && [ -w "$kept" ]; } 2>/dev/null || kept=$venv/wheels
build() {  # build NAME from its source into the wheel cache, once for each combination of Python and libraries
    local name=$1 libraries=$2
    local requirement wheels
    requirement=$(grep "^$name==" run/requirements.txt)
    wheels=$kept/$tag-$(printf %s "$stack $libraries" | sha256sum | cut -c1-12)
    mkdir -p "$wheels"
    local install=(install --force-reinstall --no-index --no-deps --find-links "$wheels" "$requirement")
    if ! pip "${install[@]}" 2>/dev/null; then
        say "building $requirement (once; a few minutes at most)"
        pip wheel --no-build-isolation --no-deps --no-binary "$name" --wheel-dir "$wheels" "$requirement"
        pip "${install[@]}"
    fi
}
say "installing the pinned Python packages into .venv"
grep -vE '^(h5py|mpi4py-fft)==' run/requirements.txt > "$venv/requirements.txt"
pip install -r "$venv/requirements.txt" "${requirements[@]:2}"

case $stack in
debian)
    CC=mpicc.openmpi HDF5_MPI=ON HDF5_PKGCONFIG_NAME=hdf5-openmpi build h5py "$(pkg-config --modversion hdf5-openmpi)"
    build mpi4py-fft "$(pkg-config --modversion fftw3)" ;;
cluster)
    # The wheel of mpi4py finds most MPI libraries; one it cannot load is compiled for.
    "$venv/bin/python" -c 'from mpi4py import MPI' 2>/dev/null || MPICC=mpicc pip install --force-reinstall --no-deps --no-binary mpi4py "$(grep '^mpi4py==' run/requirements.txt)"
    if hdf5_is_parallel; then
        CC=mpicc HDF5_MPI=ON HDF5_DIR=$hdf5_root build h5py "$hdf5_root $(command -v mpicc)"
    else
        say "${hdf5_root:+$hdf5_root is }no parallel HDF5: rank 0 will write the files of all ranks, which is slower for large lattices;" \
            "to change that, load the module of a parallel one and run MPIEPM_STACK=cluster run/setup.sh"
        pip install --force-reinstall --no-deps "$(grep '^h5py==' run/requirements.txt)"
    fi
    build mpi4py-fft "${FFTW_ROOT:-system} $(command -v mpicc)" ;;
pypi)
    say "no parallel HDF5 on PyPI: rank 0 will write the files of all ranks, which is slower for large lattices"
    command -v "${CC:-cc}" >/dev/null || command -v gcc >/dev/null || fail "a C compiler is needed for mpi4py-fft (set CC, or load a compiler module)"
    pip install mpich==5.0.2 pyfftw==0.15.1 pylib-fftw3==0.0.2 "$(grep '^h5py==' run/requirements.txt)"
    # pyfftw's wheel carries FFTW's libraries, pylib-fftw3 its header: lay them out as an FFTW installation.
    site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("platlib"))')
    fftw=$venv/fftw
    mkdir -p "$fftw/lib" "$fftw/include"
    for precision in '' f l; do
        ln -sf "$site"/pyfftw.libs/libfftw3$precision-*.so* "$fftw/lib/libfftw3$precision.so"
        ln -sf "$site"/pyfftw.libs/libfftw3${precision}_omp-*.so* "$fftw/lib/libfftw3${precision}_threads.so"
    done
    ln -sf "$(find "$site" "$venv" -name fftw3.h -not -path "$fftw/*" -print -quit)" "$fftw/include/fftw3.h"
    FFTW_ROOT=$fftw LDFLAGS="-Wl,--disable-new-dtags -Wl,-rpath,$site/pyfftw.libs -Wl,-rpath-link,$site/pyfftw.libs" \
        build mpi4py-fft "pyfftw $site" ;;
*) fail "MPIEPM_STACK=$stack: must be cluster, debian or pypi" ;;
esac

pip install --no-build-isolation --no-deps --editable .
"$venv/bin/python" -c 'from mpi4py import MPI; import h5py, mpi4py_fft, mpiepm' || fail "the installation is broken: see the error above"
echo "$wanted $([ "${1:-}" = --test ] && echo test || echo run) $stack" > "$stamp"
say "done"
