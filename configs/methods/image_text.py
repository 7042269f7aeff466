"""Image embedding beside the mean embedding of its descriptions.

    python tools/train.py configs/methods/image_text.py --on configs/lmmreg_bar.py

Test images need descriptions, too: python tools/describe.py configs/lmmreg_bar.py --split all
Original (Tzelepi and Mezaris, EANN 2024): MiniGPT-4's ten descriptions of each image, CLIP
ViT-L/14, one linear layer. Ours: that, with this project's schedule.
"""

_base_ = __import__('os').environ.get('LMMREG_ON') or '../lmmreg_demo.py'

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
described = [
    transform
    for transform in _base_.train_dataloader.dataset.pipeline
    if transform.type == 'AttachDescriptions'
]
*pixels, pack = _base_.val_dataloader.dataset.pipeline
val_dataloader = dict(dataset=dict(pipeline=[*pixels, *described, pack]))
test_dataloader = val_dataloader
