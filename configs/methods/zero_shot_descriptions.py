"""Zero-shot classifier from the class means of descriptions.

    python tools/train.py configs/methods/zero_shot_descriptions.py --on configs/lmmreg_bar.py

No paper: what the targets of the regulariser (eq. 1) are worth by themselves.
"""

_base_ = __import__('os').environ.get('LMMREG_ON') or '../lmmreg_demo.py'

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
train_cfg = dict(max_epochs=1)  # without a step, since nothing has a gradient
