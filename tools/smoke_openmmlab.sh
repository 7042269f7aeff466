#!/usr/bin/env bash
# Train, resume, test and predict with the original mm* packages (mmengine, mmcv-lite,
# mmpretrain), which cannot be installed beside the onedl-mm* ones: in an environment of its own.
#   bash tools/smoke_openmmlab.sh [FOLDER_OF_THE_ENVIRONMENT]
# The folder is made where it is not there, and kept; without one, a temporary one is used.
set -euo pipefail
if [ $# -gt 0 ]; then
    environment=$1
    mkdir -p "$environment"
    environment=$(cd "$environment" && pwd)
else
    environment=$(mktemp -d)
    trap 'rm -rf "$environment"' EXIT
fi
cd "$(dirname "$0")/.."
[ -x "$environment/bin/python" ] || "${PYTHON:-python3}" -m venv "$environment"
source "$environment/bin/activate"
pip install -q --no-compile -c constraints.txt -e '.[openmmlab]' pytest pytest-timeout pytest-xdist
python -c 'from mmpretrain_lmmreg import compat; assert compat.check_mm_packages() == "openmmlab"'
python -m pytest -n auto tests/smoke
