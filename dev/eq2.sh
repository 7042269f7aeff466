#!/usr/bin/env bash
# The table of docs/paper.md on eq. 2's sum: each reduction with four values of alpha, on the
# demo and on the described part of BAR with lite0-minilm (BAR_ROOT), five seeds.
set -euo pipefail
cd "$(dirname "$0")/.."
out=work_dirs/eq2 only=dataset.described_only=True

both() { # NAME CONFIG [OPTIONS...]
    local name=$1 config=$2
    shift 2
    python tools/sweep.py "$config" --methods finetune --seeds 0 1 2 3 4 --out "$out/$name" \
        --grid lmmreg:model.head.reduction=batch_mean,batch_sum \
        lmmreg:model.head.alpha=0.0001,0.001,0.01,0.1 "$@"
    python tools/compare.py "$out/$name" --baseline finetune --out "$out/$name-table"
}

both demo configs/lmmreg_demo.py
both bar configs/lmmreg_bar_lite0.py --cfg-options train_dataloader.$only val_dataloader.$only \
    test_dataloader.$only
