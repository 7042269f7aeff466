#!/usr/bin/env bash
# The README's tables of all methods, into work_dirs/results: on further draws of the demo (seeds 20 to
# 24 train on draws 20 to 24, all are tested on draw 30), on described BAR, and on all of BAR with its
# 300 described images, both with lite0-minilm (BAR_ROOT, LITE0_ROOT); all images, 16 and 4 a class.
# About two hours on two cores; a stopped run goes on. REGIMES='demo-16 bar' METHODS='gda clap' are parts of it.
set -euo pipefail
cd "$(dirname "$0")/.."
out=work_dirs/results rate=optim_wrapper.optimizer.lr means=default_hooks.class_means
train=train_dataloader.dataset val=val_dataloader.dataset test=test_dataloader.dataset

# Four settings of whatever has one to tune, on held-out training images
regularised="$rate=1e-4,1e-3 model.head.alpha=0.001,0.01"
declare -A tuned=(
    [finetune]=$rate=1e-4,3e-4,1e-3,3e-3
    [lmmreg]=$regularised
    [mean_start]=$rate=3e-5,1e-4,3e-4,1e-3
    [mean_start_descriptions]=$rate=3e-5,1e-4,3e-4,1e-3
    [mean_start_images]=$rate=3e-5,1e-4,3e-4,1e-3
    [wise_ft]=$rate=1e-4,1e-3,1e-2,1e-1
    [gda]=model.head.alpha=0.1,1,10,100
    [linear_probe]=$rate=1e-4,1e-3,1e-2,1e-1
    [image_text]=$rate=1e-4,1e-3,1e-2,1e-1
    [l2_sp]="$rate=1e-4,1e-3 model.l2_sp=0.1,1"
    [tip_adapter]=model.head.alpha=1,3,10,30
    [tip_adapter_f]=$rate=1e-4,1e-3,1e-2,1e-1
    [logreg]=model.head.C=0.0316,0.316,3.16,31.6
    [zs_lp]=$rate=1e-3,1e-2,1e-1,1
    [cross_modal]=$rate=1e-4,1e-3,1e-2,1e-1
    [cross_modal_descriptions]=$rate=1e-4,1e-3,1e-2,1e-1
    [clip_svd]=$rate=1e-4,1e-3,1e-2,1e-1
    [clip_a_self]=$rate=2e-4,2e-3,2e-2,2e-1
    [labo]=$rate=1e-4,1e-3,1e-2,1e-1
    [m2_mix]=$regularised
    [rafa]=$regularised
    [shuffled]=$regularised
    [class_names]=$regularised
    [image_means]=$regularised
    [match_gap]=$regularised
)
main='finetune wise_ft gda clap mean_start mean_start_descriptions mean_start_images gaussian_start zero_shot'
rest='linear_probe image_text l2_sp tip_adapter tip_adapter_f logreg zs_lp lp_plus_plus cross_modal
    cross_modal_descriptions clip_svd clip_a_self labo caps_adapter m2_mix zero_shot_descriptions
    classify_by_description perception_clip rafa shuffled class_names image_means match_gap'
# 600 steps also with few images; validation and a checkpoint after the last epoch only
common=(--seeds 20 21 22 23 24 --cfg-options train_cfg.min_iters=600 train_cfg.val_interval=100000
    default_hooks.checkpoint.interval=100000)

compare() { python tools/compare.py "$out/$1" --baseline "$2" --out "$out/$1-table"; }

methods() { # NAME METHODS CONFIG SEEDED OPTIONS...
    local method setting grid=()
    for method in lmmreg $2; do
        for setting in ${tuned[$method]:-}; do grid+=("$method:$setting"); done
    done
    python tools/sweep.py "$3" --methods $2 --seeded "$4" --select val --out "$out/$1" \
        --grid "${grid[@]}" "${common[@]}" "${@:5}"
    compare "$1" finetune
}

controls() { # NAME - CONFIG SEEDED OPTIONS...: descriptions, those of other classes, without the names
    local from=mean_start_descriptions
    python tools/sweep.py "$3" --methods $from --seeded "$4" --out "$out/$1" \
        --grid $from:$means.shuffled=False,True $from:$means.cut_names=False,True \
        $from:'model.head.texts=["descriptions"]' "${common[@]}" "${@:5}"
    compare "$1" "$from [shuffled=False, cut_names=False, texts=['descriptions']]"
}

demo=(configs/lmmreg_demo.py $train.draw $val.draw=30 $test.draw=30)
bar=(configs/lmmreg_bar_lite0.py $train.shot_seed)
described=($train.described_only=True $val.described_only=True $test.described_only=True)
for regime in ${REGIMES:-demo-16 bar-16 demo bar demo-4 bar-4 bar-full demo-16-controls bar-16-controls}; do
    shots=() kind=methods
    [[ $regime != *-4* ]] || shots=($train.shots=4)
    [[ $regime != *-16* ]] || shots=($train.shots=16)
    [[ $regime != *-controls ]] || kind=controls
    case $regime in
        demo*) $kind $regime "${METHODS:-$main $rest coop cocoop}" "${demo[@]}" "${shots[@]}" ;;
        bar-full) $kind $regime "${METHODS:-$main}" "${bar[@]}" ;;
        bar*) $kind $regime "${METHODS:-$main $rest}" "${bar[@]}" "${described[@]}" "${shots[@]}" ;;
    esac
done
