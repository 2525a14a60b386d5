#!/usr/bin/env bash
# Set up (see run/setup.sh) and run all checks: ruff, mypy, pytest on one rank, the parallel tests on 2, 3 and 4 ranks and under
# other MPI libraries, and the main job at a small size (tests/suite.py; run/test.sh PART ... runs some parts of it only).
# Long validations are not among them: .venv/bin/pytest -m statistics
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. run/environment.sh --test
# Programs that a few tests need besides: Slurm, a browser. Where they cannot be had these tests are skipped, and named at the end.
tests/slurm/sandbox.sh install || true
if ! command -v chromium >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing chromium" >&2
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null 2>&1 || true
fi
exec python tests/suite.py "$@"
