#!/usr/bin/env bash
# The README's figures on stored views: fine-tuning on the described part of BAR with lite0-minilm
# (BAR_ROOT, LITE0_ROOT) without augmentation, and with 4 and 16 views of each image, five seeds.
set -euo pipefail
cd "$(dirname "$0")/.."
out=work_dirs/views only=dataset.described_only=True
mkdir -p "$out"
cat > "$out/augmented.py" <<EOF
_base_ = '$PWD/configs/lmmreg_bar_lite0.py'
method = 'augmented'
model = dict(head=dict(alpha=0))
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='LoadPicture'),
            dict(
                type='RandomResizedCrop',
                scale=224,
                crop_ratio_range=(0.5, 1.0),
                backend='pillow',
                interpolation='bicubic',
            ),
            dict(type='RandomFlip', prob=0.5, direction='horizontal'),
            dict(type='PackInputs'),
        ]
    )
)
EOF
common=(--seeds 0 1 2 3 4 --cfg-options train_dataloader.$only val_dataloader.$only
    test_dataloader.$only train_cfg.min_iters=600 train_cfg.val_interval=100000)
python tools/sweep.py configs/lmmreg_bar_lite0.py --methods finetune --out "$out/plain" "${common[@]}"
python tools/sweep.py "$out/augmented.py" --grid train_cfg.views=4,16 --out "$out/views" "${common[@]}"
python tools/compare.py "$out/plain" "$out/views" --baseline finetune --out "$out-table"
