"""LMM-Reg. on the demo: drawn pictures, a tiny CLIP that ships with the package, no download.

The descriptions come from a script that errs as an LMM does; it is no LMM.

    python tools/train.py configs/lmmreg_demo.py
"""

_base_ = [
    '_base_/models/clip_vit_l14.py',
    '_base_/datasets/demo.py',
    '_base_/schedules/adam_100e.py',
    '_base_/default_runtime.py',
]

method = 'lmmreg'
model = dict(
    data_preprocessor=dict(mean=[127.5, 127.5, 127.5], std=[63.75, 63.75, 63.75]),
    backbone=dict(model_name='demo-clip', pretrained=None),
    head=dict(num_classes=6, in_channels=64),
)
