#!/usr/bin/env bash
# The curve of docs/describe.md: accuracy against 1, 2, 4, ..., all described images of each class,
# five seeds (which choose the images, too), on the demo and on the described part of BAR with lite0-minilm
# (BAR_ROOT), into work_dirs/described. A stopped run goes on; SEEDS='0' is a part of it.
set -euo pipefail
cd "$(dirname "$0")/.."
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH}
out=${OUT:-work_dirs/described}

python dev/described.py prepare "$out"
for data in ${DATA:-demo bar}; do
    on=configs/lmmreg_demo.py
    [ "$data" = demo ] || on=configs/lmmreg_bar_lite0.py
    for seed in ${SEEDS:-0 1 2 3 4}; do
        LMMREG_ON=$PWD/$on python tools/sweep.py "$out/configs/$data-$seed"/${ONLY:-}*.py \
            --seeds "$seed" --out "$out/runs/$data-$seed" --jobs "${JOBS:-0}"
    done
done
python dev/described.py table "$out"
