"""CLIP's zero-shot classifier from class-name prompts on UCF101.

    python tools/train.py configs/baselines/zero_shot_ucf101.py

Original (Radford et al. 2021): hand-written prompts for each data set, up to 80 of them.
Ours: 'a photo of a {}.'; others by model.head.templates.
"""

_base_ = ['linear_probe_ucf101.py']

method = 'zero_shot'
protocol = 'class names only, no training'
model = dict(
    head=dict(
        _delete_=True,
        type='ZeroShotHead',
        num_classes={{_base_.model.head.num_classes}},
        in_channels={{_base_.model.head.in_channels}},
    )
)
train_cfg = dict(_delete_=True, type='FitLoop')
