"""CoOp (a learned context before the class name).

    python tools/train.py configs/methods/coop.py --on configs/lmmreg_bar.py

Original (Zhou et al. 2022): CLIP with RN50, also ViT-B/16; 1 to 16 shots, random crops and flips,
200 epochs at 16 shots; accuracy on all classes (the 84.69 % often quoted for UCF-101 are of the
first half of the classes, with ViT-B/16, from CoCoOp's paper). Ours: this model, all training
images (fewer by train_dataloader.dataset.shots), one view; M=16, one context, class name at the
end, batch, rate and epochs are the original's. Others: model.head.length, .class_specific,
.position, .words.
"""

_base_ = 'linear_probe.py'

method = 'coop'
protocol = 'all training images, last epoch; class names through the text tower'
model = dict(
    head=dict(
        _delete_=True,
        type='CoOpHead',
        width=dict(DemoActions=48).get(_base_.train_dataloader.dataset.type),
        num_classes={{_base_.model.head.num_classes}},
        in_channels={{_base_.model.head.in_channels}},
    )
)
train_dataloader = dict(batch_size=32)
optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=2e-3, momentum=0.9, weight_decay=5e-4),
)
schedule_epochs = 200  # of param_scheduler, which stretches with the run
param_scheduler = [
    dict(type='CosineAnnealingLR', begin=1, end=200, T_max=200),
    dict(type='ConstantLR', factor=5e-3, end=2),  # the first epoch at 1e-5
]
train_cfg = dict(max_epochs=200)
