"""CLIP's zero-shot classifier from class-name prompts.

    python tools/train.py configs/methods/zero_shot.py --on configs/lmmreg_bar.py

Original (Radford et al. 2021): hand-written prompts for each data set, up to 80 of them.
Ours: the data's `templates`; UCF-101's is 'a photo of a person doing {}.', as in the code of CoOp,
Tip-Adapter and GDA.
"""

_base_ = 'linear_probe.py'

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
train_cfg = dict(max_epochs=1)  # without a step, since nothing has a gradient
