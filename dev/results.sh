#!/usr/bin/env bash
# All results of docs/results.md, into work_dirs/results; a stopped run goes on.
#   bash dev/results.sh question main others     # parts; all of them without an argument
# Data: the demo (seeds train on draws of their own, all are tested on draw 30); BAR's described images
# (bar) and all of BAR (full; with 4 or 16 training images a class, described ones), both with
# lite0-minilm; RSSCN7 with class names only. BAR_ROOT and RSSCN7_ROOT say where they lie.
# REGIMES='demo-16 full' and SEEDS='20 21' run a part.
set -euo pipefail
cd "$(dirname "$0")/.."
out=work_dirs/results rate=optim_wrapper.optimizer.lr
train=train_dataloader.dataset val=val_dataloader.dataset test=test_dataloader.dataset

# 600 steps also with few images; validation and a checkpoint after the last epoch only
common=(--cfg-options train_cfg.min_iters=600 train_cfg.val_interval=100000
    default_hooks.checkpoint.interval=100000)
# Does the regulariser help, and does it need the descriptions? Its controls have other targets:
# those of other classes, random ones, and the images themselves
controls=(shuffled rafa image_means)
main=(finetune logreg_trunk linear_probe gda clap tip_adapter_f wise_ft mean_start zero_shot)
others=(logreg zs_lp lp_plus_plus l2_sp tip_adapter cross_modal clip_svd clip_a_self labo m2_mix
    mean_start_images gaussian_start match_gap nola perception_clip classify_by_description)
described=(image_text zero_shot_descriptions mean_start_descriptions cross_modal_descriptions caps_adapter)

sweep() { # NAME SEEDS CONFIG OPTIONS...
    python tools/sweep.py "$3" --seeds $2 --out "$out/$1" --jobs "${JOBS:-2}" "${@:4}"
    python tools/compare.py "$out/$1" --baseline finetune --out "$out/$1-table"
}

of_regime() { # REGIME: sets data, seeded and options
    options=() seeded=$train.shot_seed
    case $1 in
        demo*) data=configs/lmmreg_demo.py seeded=$train.draw options=($val.draw=30 $test.draw=30) ;;
        bar*) data=configs/lmmreg_bar_lite0.py
            options=($train.described_only=True $val.described_only=True $test.described_only=True) ;;
        full) data=configs/lmmreg_bar_lite0.py options=() ;;
        full-*) data=configs/lmmreg_bar_lite0.py options=($train.described_only=True) ;;
        rsscn7*) data=dev/rsscn7_lite0.py options=() ;;
    esac
    export CUSTOM_ROOT=${RSSCN7_ROOT:-}
    case $1 in *-4) options+=($train.shots=4) ;; *-16) options+=($train.shots=16) ;; esac
}

five=${SEEDS:-20 21 22 23 24} ten=${SEEDS:-20 21 22 23 24 25 26 27 28 29}
every=(demo-16 full-16 demo full demo-4 full-4 bar-16 bar bar-4 rsscn7-16 rsscn7 rsscn7-4)
[[ $# -gt 0 ]] || set -- question main others
for part; do
    for regime in ${REGIMES:-${every[@]}}; do
        of_regime "$regime"
        case $part-$regime in
            question-rsscn7* | question-bar*) ;; # no descriptions; a part of full
            question-*)
                # eight settings each: of the learning rate, or of it and alpha
                grid=(finetune:$rate=1e-4,2e-4,3e-4,6e-4,1e-3,2e-3,3e-3,6e-3)
                for method in lmmreg "${controls[@]}"; do
                    grid+=("$method:$rate=1e-4,3e-4,1e-3,3e-3" "$method:model.head.alpha=0.001,0.01")
                done
                sweep "$regime-question" "$five" "$data" --methods finetune "${controls[@]}" \
                    --select val --grid "${grid[@]}" \
                    --seeded "$seeded" "${common[@]}" "${options[@]}" ;;
            main-*)
                methods=("${main[@]}")
                # which reads descriptions of test images; few of all of BAR have any
                [[ $regime == rsscn7* || $regime == full* ]] || methods+=(image_text)
                sweep "$regime" "$ten" "$data" --methods "${methods[@]}" --seeded "$seeded" \
                    "${common[@]}" "${options[@]}" ;;
            others-demo* | others-bar*)
                sweep "$regime-others" "$five" "$data" --methods finetune "${others[@]}" \
                    "${described[@]:1}" --seeded "$seeded" "${common[@]}" "${options[@]}" ;;
        esac
    done
done
