#!/usr/bin/env bash
# The README's tables of which method helps, into work_dirs/results: on further draws of the demo (seeds 20 to
# 24 train on draws 20 to 24, all are tested on draw 30), on described BAR, and untuned on all of BAR with
# its 300 described images, both with lite0-minilm (BAR_ROOT, LITE0_ROOT); all images, 16 and 4 a class.
# About two hours on two cores; a stopped run goes on. REGIMES='demo-16 bar-full' is a part of it.
set -euo pipefail
cd "$(dirname "$0")/.."
out=work_dirs/results rate=optim_wrapper.optimizer.lr means=default_hooks.class_means
train=train_dataloader.dataset val=val_dataloader.dataset test=test_dataloader.dataset

# Four settings of each method that has one to tune, on held-out training images; none of the others
low=$rate=3e-5,1e-4,3e-4,1e-3 rates=$rate=1e-4,1e-3,1e-2,1e-1 regularised="$rate=1e-4,1e-3 model.head.alpha=0.001,0.01"
cached='model.head.alpha=1,10'
declare -A tuned=(
    [finetune]=$rate=1e-4,3e-4,1e-3,3e-3
    [lmmreg]=$regularised
    [mean_start]=$low
    [mean_start_descriptions]=$low
    [mean_start_images]=$low
    [wise_ft]=$rates
    [gda]=model.head.alpha=0.1,1,10,100
    [linear_probe]=$rates
    [image_text]=$rates
    [l2_sp]="$rate=1e-4,1e-3 model.l2_sp=0.1,1"
    [tip_adapter]="$cached model.head.beta=1.5,5.5"
    [tip_adapter_f]="$cached $rate=1e-4,1e-3"
    [logreg]=model.head.C=0.0316,0.316,3.16,31.6
    [zs_lp]=$rate=1e-3,1e-2,1e-1,1
    [nola]=$rate=1e-3,1e-2,1e-1,1
    [cross_modal]=$rates
    [cross_modal_descriptions]=$rates
    [clip_svd]=$rates
    [clip_a_self]=model.head.ratio=0,0.2,0.5,0.8
    [labo]="model.head.discriminability=20,200 model.head.coverage=1,10"
    [caps_adapter]="$cached model.head.delta=0.2,0.5"
    [m2_mix]=$regularised
    [rafa]=$regularised
    [shuffled]=$regularised
    [class_names]=$regularised
    [image_means]=$regularised
    [match_gap]=$regularised
    [coop]=$rate=2e-4,2e-3,2e-2,2e-1
    [cocoop]=$rate=2e-4,2e-3,2e-2,2e-1
)
main=(finetune wise_ft gda clap mean_start mean_start_descriptions mean_start_images gaussian_start
    zero_shot)
all=("${main[@]}" linear_probe image_text l2_sp tip_adapter tip_adapter_f logreg zs_lp lp_plus_plus
    cross_modal cross_modal_descriptions clip_svd clip_a_self labo caps_adapter m2_mix
    zero_shot_descriptions classify_by_description perception_clip nola rafa shuffled class_names
    image_means match_gap)
# 600 steps also with few images; validation and a checkpoint after the last epoch only
common=(--seeds 20 21 22 23 24 --cfg-options train_cfg.min_iters=600 train_cfg.val_interval=100000
    default_hooks.checkpoint.interval=100000)

compare() { python tools/compare.py "$out/$1" --baseline "$2" --out "$out/$1-table"; }

tuned() { # NAME CONFIG SEEDED OPTIONS...
    local method setting grid=() methods=("${all[@]}")
    [[ $1 != demo* ]] || methods+=(coop cocoop) # their text tower is CLIP's
    for method in lmmreg "${methods[@]}"; do
        for setting in ${tuned[$method]:-}; do grid+=("$method:$setting"); done
    done
    python tools/sweep.py "$2" --methods "${methods[@]}" --seeded "$3" --select val --out "$out/$1" \
        --grid "${grid[@]}" "${common[@]}" "${@:4}"
    compare "$1" finetune
}

untuned() { # likewise, the main methods at their defaults
    python tools/sweep.py "$2" --methods "${main[@]}" --seeded "$3" --out "$out/$1" "${common[@]}" "${@:4}"
    compare "$1" finetune
}

controls() { # likewise: descriptions, those of other classes, without the names
    local from=mean_start_descriptions
    python tools/sweep.py "$2" --methods $from --seeded "$3" --out "$out/$1" \
        --grid $from:$means.shuffled=False,True $from:$means.cut_names=False,True \
        $from:'model.head.texts=["descriptions"]' "${common[@]}" "${@:4}"
    compare "$1" "$from [shuffled=False, cut_names=False, texts=['descriptions']]"
}

demo=(configs/lmmreg_demo.py $train.draw $val.draw=30 $test.draw=30)
bar=(configs/lmmreg_bar_lite0.py $train.shot_seed)
described=($train.described_only=True $val.described_only=True $test.described_only=True)
every=(demo-16 bar-16 demo bar demo-4 bar-4 bar-full demo-16-controls bar-16-controls)
for regime in ${REGIMES:-${every[@]}}; do
    shots=() data=("${demo[@]}") kind=tuned
    [[ $regime != *-4* ]] || shots=($train.shots=4)
    [[ $regime != *-16* ]] || shots=($train.shots=16)
    [[ $regime != bar* ]] || data=("${bar[@]}" "${described[@]}")
    [[ $regime != bar-full ]] || data=("${bar[@]}") kind=untuned
    [[ $regime != *-controls ]] || kind=controls
    $kind "$regime" "${data[@]}" "${shots[@]}"
done
