"""LMM-Reg.-CLIP on BAR.

python tools/train.py configs/lmmreg_bar.py
"""

_base_ = [
    '_base_/models/clip_vit_l14.py',
    '_base_/datasets/bar.py',
    '_base_/schedules/adam_100e.py',
    '_base_/default_runtime.py',
]

method = 'lmmreg'
model = dict(head=dict(num_classes=6))
