"""CoCoOp (a learned context, shifted by each image).

    python tools/train.py configs/methods/cocoop.py --on configs/lmmreg_bar.py

Original (Zhou et al. 2022): CLIP ViT-B/16, 16 shots of the first half of the classes, 10 epochs,
one image a step; accuracy on these (the 82.33 % for UCF-101) and on the other half. Ours: this
model, all classes, all training images (fewer by train_dataloader.dataset.shots), one view, tested
at the end. Each image costs a pass of the text tower over all classes, also at test time, for
which the weights of the text tower are needed. A larger train_dataloader.batch_size is quicker.
"""

_base_ = 'coop.py'

method = 'cocoop'
protocol = 'all training images, last epoch; class names through the text tower, image by image'
context = dict(DemoActions=dict(length=5, words='a photo of a person')).get(
    _base_.train_dataloader.dataset.type, dict(length=4, words='a photo of a')
)
model = dict(head=dict(type='CoCoOpHead', **context))
train_dataloader = dict(batch_size=1)
train_cfg = dict(max_epochs=10, val_interval=10)
schedule_epochs = 10  # of param_scheduler, which stretches with the run
param_scheduler = [
    dict(type='CosineAnnealingLR', begin=1, end=10, T_max=10),
    dict(type='ConstantLR', factor=5e-3, end=2),  # the first epoch at 1e-5
]
