"""Image embedding beside mean description and mean emotion on BAR.

    python tools/train.py configs/baselines/image_text_emotion_bar.py

All images need replies to both prompts: python tools/describe.py CONFIG --split all --prompt
'Give 10 emotions that the image elicits', and the same without --prompt.
Original (Tzelepi and Mezaris, ICIP workshops 2024): disturbing images, two classes; the wording
of the second prompt is ours.
"""
_base_ = ['../lmmreg_bar.py']

method = 'image_text_emotion'
protocol = 'all training images, last epoch; descriptions at test time'
prompts = [
    'Give 10 semantic descriptions for the image',
    'Give 10 emotions that the image elicits',
]
model = dict(
    backbone=dict(trainable='none'),
    head=dict(
        _delete_=True,
        type='ImageTextHead',
        prompts=prompts,
        num_classes={{_base_.model.head.num_classes}},
        in_channels={{_base_.model.head.in_channels}}))
default_hooks = dict(image_texts=dict(type='ImageTextHook'))
val_dataloader = dict(dataset=dict(pipeline=_base_.train_dataloader.dataset.pipeline))
test_dataloader = val_dataloader
