"""Image embedding beside the mean embedding of its descriptions on BAR with lite0-minilm.

    python tools/train.py configs/baselines/image_text_bar_lite0.py

Test images need descriptions, too: python tools/describe.py CONFIG --split all.
Original (Tzelepi and Mezaris, EANN 2024): MiniGPT-4's ten descriptions of each image, CLIP
ViT-L/14, one linear layer. Ours: that, with this project's schedule.
"""

_base_ = ['../lmmreg_bar_lite0.py']

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
