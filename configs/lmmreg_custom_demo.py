"""Own images with the demo's tiny CLIP: a run of the whole way before CLIP is downloaded.

    CUSTOM_ROOT=pictures python tools/train.py configs/lmmreg_custom_demo.py

That CLIP was trained on the demo's drawings and knows little else: its accuracy says nothing.
"""

_base_ = 'lmmreg_custom.py'

model = dict(
    data_preprocessor=dict(mean=[127.5, 127.5, 127.5], std=[63.75, 63.75, 63.75]),
    backbone=dict(model_name='demo-clip', pretrained='demo', image_size=224),
    head=dict(in_channels=64),
)
token_width = 48
