#!/usr/bin/env bash
# The README's tables of which method helps, into work_dirs/which: on further draws of the demo (seeds 20 to
# 24 train on draws 20 to 24, all are tested on draw 30), on described BAR, and untuned on all of BAR with
# its 300 described images, both with lite0-minilm (BAR_ROOT, LITE0_ROOT); all images, 16 and 4 a class.
# About two hours on two cores; a stopped run goes on. REGIMES='demo-16 bar-rest' is a part of it.
set -euo pipefail
cd "$(dirname "$0")/.."
out=work_dirs/which rate=optim_wrapper.optimizer.lr means=default_hooks.class_means
train=train_dataloader.dataset val=val_dataloader.dataset test=test_dataloader.dataset

# Four settings of each of the main methods that has one to tune, on held-out training images
declare -A tuned=(
    [finetune]=$rate=1e-4,3e-4,1e-3,3e-3
    [lmmreg]="$rate=1e-4,1e-3 model.head.alpha=0.001,0.01"
    [mean_start]=$rate=3e-5,1e-4,3e-4,1e-3
    [mean_start_descriptions]=$rate=3e-5,1e-4,3e-4,1e-3
    [mean_start_images]=$rate=3e-5,1e-4,3e-4,1e-3
    [wise_ft]=$rate=1e-4,1e-3,1e-2,1e-1
    [gda]=model.head.alpha=0.1,1,10,100
)
main=(finetune wise_ft gda clap mean_start mean_start_descriptions mean_start_images gaussian_start
    zero_shot)
# as their authors set them
rest=(finetune linear_probe image_text l2_sp tip_adapter tip_adapter_f logreg zs_lp lp_plus_plus
    cross_modal cross_modal_descriptions clip_svd clip_a_self labo caps_adapter m2_mix
    zero_shot_descriptions classify_by_description perception_clip rafa shuffled class_names
    image_means match_gap nola)
# 600 steps also with few images; validation and a checkpoint after the last epoch only
common=(--seeds 20 21 22 23 24 --cfg-options train_cfg.min_iters=600 train_cfg.val_interval=100000
    default_hooks.checkpoint.interval=100000)

compare() { python tools/compare.py "$out/$1" --baseline "$2" --out "$out/$1-table"; }

main() { # NAME CONFIG SEEDED OPTIONS...
    local method setting grid=()
    for method in lmmreg "${main[@]}"; do
        for setting in ${tuned[$method]:-}; do grid+=("$method:$setting"); done
    done
    python tools/sweep.py "$2" --methods "${main[@]}" --seeded "$3" --select val --out "$out/$1" \
        --grid "${grid[@]}" "${common[@]}" "${@:4}"
    compare "$1" finetune
}

default() { # likewise, without tuning
    local methods=("${main[@]}")
    [[ $1 != *-rest ]] || methods=("${rest[@]}")
    [[ $1 != demo*-rest ]] || methods+=(coop cocoop)
    python tools/sweep.py "$2" --methods "${methods[@]}" --seeded "$3" --out "$out/$1" \
        "${common[@]}" "${@:4}"
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
all=(demo-16 bar-16 demo bar demo-4 bar-4 bar-full demo-16-controls bar-16-controls
    demo-16-rest bar-16-rest demo-rest bar-rest demo-4-rest bar-4-rest)
for regime in ${REGIMES:-${all[@]}}; do
    shots=() data=("${demo[@]}") kind=main
    [[ $regime != *-4* ]] || shots=($train.shots=4)
    [[ $regime != *-16* ]] || shots=($train.shots=16)
    [[ $regime != bar* ]] || data=("${bar[@]}" "${described[@]}")
    [[ $regime != bar-full ]] || data=("${bar[@]}") kind=default
    [[ $regime != *-controls ]] || kind=controls
    [[ $regime != *-rest ]] || kind=default
    $kind "$regime" "${data[@]}" "${shots[@]}"
done
