"""CLIP's zero-shot classifier from class-name prompts on the demo.

    python tools/train.py configs/baselines/zero_shot_demo.py

Original (Radford et al. 2021): hand-written prompts for each data set, up to 80 of them.
Ours: one that reads well for all six actions.
"""

_base_ = ['linear_probe_demo.py']

method = 'zero_shot'
protocol = 'class names only, no training'
model = dict(
    head=dict(
        _delete_=True,
        type='ZeroShotHead',
        templates=['a photo of a person {}.'],
        num_classes={{_base_.model.head.num_classes}},
        in_channels={{_base_.model.head.in_channels}},
    )
)
train_cfg = dict(_delete_=True, type='FitLoop')
