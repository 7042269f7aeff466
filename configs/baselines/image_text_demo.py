"""Image embedding beside the mean embedding of its descriptions on the demo.

    python tools/train.py configs/baselines/image_text_demo.py

Test images need descriptions, too; the demo's script knows what it has drawn.
Original (Tzelepi and Mezaris, EANN 2024): MiniGPT-4's ten descriptions of each image, CLIP
ViT-L/14, one linear layer. Ours: that, with this project's schedule.
"""

_base_ = ['../lmmreg_demo.py']

method = 'image_text'
protocol = 'all training images, last epoch; descriptions at test time'
model = dict(
    backbone=dict(trainable='none'),
    head=dict(
        _delete_=True,
        type='ImageTextHead',
        num_classes={{_base_.model.head.num_classes}},
        in_channels={{_base_.model.head.in_channels}},
    ),
)
default_hooks = dict(image_texts=dict(type='ImageTextHook'))
val_dataloader = dict(dataset=dict(pipeline=_base_.train_dataloader.dataset.pipeline))
test_dataloader = val_dataloader
