#!/usr/bin/env bash
# The README's tables of what helps, into work_dirs/which: tuned methods and controls on further draws of
# the demo (seeds 20 to 24 train on draws 20 to 24, all are tested on draw 30), on described BAR, and on
# all of BAR with its 300 described images, both with lite0-minilm (BAR_ROOT, LITE0_ROOT); all images, 16
# and 4 a class. About an hour and a half on two cores; a stopped run goes on.
set -euo pipefail
cd "$(dirname "$0")/.."
out=work_dirs/which rate=optim_wrapper.optimizer.lr means=default_hooks.class_means
train=train_dataloader.dataset val=val_dataloader.dataset test=test_dataloader.dataset
# 600 steps also with few images, and one validation, the last epoch's
common=(--seeds 20 21 22 23 24 --cfg-options train_cfg.min_iters=600 train_cfg.val_interval=100000)

methods() { # NAME CONFIG SEEDED OPTIONS...
    python tools/sweep.py "$2" --methods finetune wise_ft gda mean_start mean_start_descriptions \
        mean_start_images gaussian_start clap zero_shot --seeded "$3" --select val \
        --out "$out/$1" \
        --grid finetune:$rate=1e-4,3e-4,1e-3,3e-3 lmmreg:$rate=1e-4,1e-3 \
        lmmreg:model.head.alpha=0.001,0.01 wise_ft:$rate=1e-4,1e-3,1e-2,1e-1 \
        gda:model.head.alpha=0.1,1,10,100 mean_start:$rate=3e-5,1e-4,3e-4,1e-3 "${common[@]}" "${@:4}"
    python tools/compare.py "$out/$1" --baseline finetune --out "$out/$1-table"
}

controls() { # NAME CONFIG SEEDED OPTIONS...: descriptions, those of other classes, without the names
    local from=mean_start_descriptions
    python tools/sweep.py "$2" --methods $from --seeded "$3" --out "$out/$1-controls" \
        --grid $from:$means.shuffled=False,True $from:$means.cut_names=False,True \
        $from:'model.head.texts=["descriptions"]' "${common[@]}" "${@:4}"
    python tools/compare.py "$out/$1-controls" --out "$out/$1-controls-table" \
        --baseline "$from [shuffled=False, cut_names=False, texts=['descriptions']]"
}

demo=(configs/lmmreg_demo.py $train.draw $val.draw=30 $test.draw=30)
bar=(configs/lmmreg_bar_lite0.py $train.shot_seed)
described=($train.described_only=True $val.described_only=True $test.described_only=True)
for regime in methods controls; do
    $regime demo-16 "${demo[@]}" $train.shots=16
    $regime bar-16 "${bar[@]}" "${described[@]}" $train.shots=16
    [ $regime = methods ] || continue
    $regime demo-4 "${demo[@]}" $train.shots=4
    $regime demo "${demo[@]}"
    $regime bar-4 "${bar[@]}" "${described[@]}" $train.shots=4
    $regime bar "${bar[@]}" "${described[@]}"
    $regime bar-full "${bar[@]}"
done
