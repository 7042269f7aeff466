"""Linear probe started from the class names' embeddings (ZS-LP).

    python tools/train.py configs/methods/zs_lp.py --on configs/lmmreg_bar.py

Original (Silva-Rodriguez et al. 2024): 1 to 16 images a class, 20 random crops and flips of each,
of which an epoch takes as many as there are images; 300 epochs of SGD (momentum 0.9) at 0.1 in
batches of 256, the first at 1e-5, then a cosine; the last epoch. Ours: all training images (fewer
by train_dataloader.dataset.shots), one view; otherwise as theirs. From
descriptions with model.head.texts=descriptions, where the data's config has keep_descriptions=True.
"""

_base_ = 'linear_probe.py'

method = 'zs_lp'
protocol = 'all training images, last epoch; class names'
model = dict(
    head=dict(
        _delete_=True,
        type='ZSLPHead',
        num_classes={{_base_.model.head.num_classes}},
        in_channels={{_base_.model.head.in_channels}},
    )
)
train_dataloader = dict(batch_size=256)
optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=0),
)
schedule_epochs = 300  # of param_scheduler, which stretches with the run
param_scheduler = [
    dict(type='CosineAnnealingLR', begin=1, end=300, T_max=300),
    dict(type='ConstantLR', factor=1e-4, end=2),  # the first epoch at 1e-5
]
train_cfg = dict(max_epochs=300)
