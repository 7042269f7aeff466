"""Zero-shot classifier from the class means of descriptions on BAR with lite0-minilm.

    python tools/train.py configs/baselines/zero_shot_descriptions_bar_lite0.py

No paper: what the targets of the regulariser (eq. 1) are worth by themselves.
"""

_base_ = ['../lmmreg_bar_lite0.py']

method = 'zero_shot_descriptions'
protocol = 'descriptions of all training images, no training'
model = dict(
    backbone=dict(trainable='none'),
    head=dict(
        _delete_=True,
        type='ZeroShotHead',
        texts='descriptions',
        num_classes={{_base_.model.head.num_classes}},
        in_channels={{_base_.model.head.in_channels}},
    ),
)
train_cfg = dict(_delete_=True, type='FitLoop')
