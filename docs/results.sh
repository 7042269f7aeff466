#!/usr/bin/env bash
# The README's tables of all methods, into work_dirs/results: the demo (all training images, 16
# shots) and the described part of BAR with lite0-minilm (BAR_ROOT, LITE0_ROOT). About an hour on
# two cores; a stopped run goes on.
set -euo pipefail
cd "$(dirname "$0")/.."
out=work_dirs/results

compare() { python tools/compare.py "$out/$1" --baseline finetune --out "$out/$1-table"; }

tuned() { # NAME DATA_SET [METHOD...] -- options of sweep.py
    local name=$1 data_set=$2 own=()
    shift 2
    while [ "${1:---}" != -- ]; do own+=("$1"); shift; done
    [ $# -eq 0 ] || shift
    local alpha=model.head.alpha=0.001,0.01,0.1 rate=optim_wrapper.optimizer.lr
    python tools/sweep.py "configs/lmmreg_$data_set.py" --methods finetune linear_probe image_text \
        wise_ft l2_sp tip_adapter tip_adapter_f gda logreg zero_shot zero_shot_descriptions shuffled \
        class_names image_means match_gap labo clip_a_self ${own[@]+"${own[@]}"} \
        --seeds 0 1 2 3 4 --select val --out "$out/$name" \
        --grid lmmreg:$alpha shuffled:$alpha class_names:$alpha image_means:$alpha \
        match_gap:$alpha finetune:$rate=3e-5,1e-4,3e-4 linear_probe:$rate=1e-4,1e-3,1e-2 \
        image_text:$rate=1e-4,1e-3,1e-2 wise_ft:$rate=1e-4,1e-3,1e-2 \
        l2_sp:model.l2_sp=0.01,0.1,1 tip_adapter:model.head.alpha=1,3,10 tip_adapter_f:$rate=1e-4,1e-3,1e-2 \
        gda:model.head.alpha=0.1,1,10 logreg:model.head.C=0.0316,0.316,3.16 "$@"
    compare "$name"
}

tuned demo demo coop cocoop
python tools/sweep.py configs/lmmreg_demo.py --methods finetune linear_probe image_text wise_ft \
    l2_sp tip_adapter tip_adapter_f gda logreg zero_shot zero_shot_descriptions coop cocoop labo \
    clip_a_self \
    --seeds 0 1 2 3 4 --out "$out/shots" --cfg-options train_dataloader.dataset.shots=16
compare shots
only=dataset.described_only=True
tuned bar bar_lite0 -- --cfg-options train_dataloader.$only val_dataloader.$only \
    test_dataloader.$only
