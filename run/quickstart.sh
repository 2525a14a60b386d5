#!/usr/bin/env bash
# Set up (see run/setup.sh) and run the main job: EPM-Q at L = 256, T = 0.03 on 2 ranks, about two minutes.
#   ./run/quickstart.sh [DIR] [--set KEY=VALUE ...]        DIR defaults to results/quickstart and is overwritten
# Leaves DIR/archive.h5 and DIR/overview.png.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
out=results/quickstart
if [ $# -gt 0 ] && [ "${1#--}" = "$1" ]; then out=$1; shift; fi
. run/environment.sh
launch 2 mpiepm run run/quickstart.toml --out "$out" --overwrite "$@"
mpiepm figure overview "$out"
