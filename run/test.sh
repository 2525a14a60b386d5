#!/usr/bin/env bash
# Set up (see run/setup.sh) and run all checks: ruff, mypy, pytest on one rank, the parallel tests on 2, 3 and 4 ranks,
# and the main job at a small size. Long validations are not among them: .venv/bin/pytest -m statistics
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
TMPDIR=$(mktemp -d); export TMPDIR
trap 'wait; rm -rf "$TMPDIR"' EXIT
. run/environment.sh --test
# Programs that a few tests need besides: Slurm, a browser. Where they cannot be had these tests are skipped, and named at the end.
tests/slurm/sandbox.sh install || true
if ! command -v chromium >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing chromium" >&2
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null 2>&1 || true
fi
# The test on Slurm waits for wall times to pass, most of the time: beside it goes what needs no ranks.
python -m pytest -q tests/system/test_slurm.py -p no:cacheprovider >"$TMPDIR/slurm.log" 2>&1 & slurm=$!
ruff check .
mypy
beside=(tests/unit tests/system/test_{bad_input,fuzz,report,studies,verify}.py)
python -m pytest "${beside[@]}" | tee "$TMPDIR/beside.log"
wait $slurm || { cat "$TMPDIR/slurm.log"; exit 1; }
cat "$TMPDIR/slurm.log"
python -m pytest --durations=20 tests/parallel tests/system "${beside[@]/#/--ignore=}" --ignore=tests/system/test_slurm.py | tee "$TMPDIR/pytest.log"
for ranks in 2 3 4; do
    echo "== parallel tests on $ranks ranks"
    # only rank 0 speaks, unless a rank fails
    timeout 900 mpirun -n $ranks bash -c '
        rank=${OMPI_COMM_WORLD_RANK:-${PMI_RANK:-0}}
        if [ "$rank" = 0 ]; then exec python -m pytest -q tests/parallel -p no:cacheprovider; fi
        python -m pytest -q tests/parallel -p no:cacheprovider >"$TMPDIR/rank-$rank.log" 2>&1 || { cat "$TMPDIR/rank-$rank.log"; exit 1; }'
done
echo "== the main job at a small size"
./run/quickstart.sh "$TMPDIR/quickstart" --set 'lattice.size=[64, 64]' --set model.temperature=0.06
test -s "$TMPDIR/quickstart/archive.h5" -a -s "$TMPDIR/quickstart/overview.png"
echo "== all passed"
grep -h "NOT TESTED" "$TMPDIR"/{slurm,beside,pytest}.log || true
