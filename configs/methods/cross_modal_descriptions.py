"""Linear probe that trains on descriptions as on images (cross-modal adaptation).

    python tools/train.py configs/methods/cross_modal_descriptions.py --on configs/lmmreg_bar.py

As cross_modal, whose texts are the class names in templates; here the descriptions of the training
images, each a sample of its image's class. The original's cosine starts after its warm-up, and its
script for the paper starts from random weights; ours from the texts.
"""

_base_ = __import__('os').environ.get('LMMREG_ON') or '../lmmreg_demo.py'

method = 'cross_modal_descriptions'
protocol = 'all training images, last epoch; descriptions'
model = dict(
    backbone=dict(trainable='none'),
    head=dict(
        _delete_=True,
        type='CrossModalHead',
        texts='descriptions',
        num_classes={{_base_.model.head.num_classes}},
        in_channels={{_base_.model.head.in_channels}},
    ),
)
train_dataloader = dict(batch_size=32)
optim_wrapper = dict(optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.01))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-2, by_epoch=False, end=50),
    dict(type='CosineAnnealingLR', convert_to_iter_based=True),
]
