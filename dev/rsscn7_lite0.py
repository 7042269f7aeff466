"""RSSCN7 with lite0-minilm: aerial photographs whose classes are known by name only.

    CUSTOM_ROOT=RSSCN7 python tools/train.py dev/rsscn7_lite0.py

RSSCN7 is the folder of the images.
"""

_base_ = ['../configs/lmmreg_custom.py']

names = dict(
    aGrass='grass',
    bField='farm field',
    cIndustry='industrial area',
    dRiverLake='river or lake',
    eForest='forest',
    fResident='residential area',
    gParking='parking lot',
)
templates = ['a satellite photo of {}.']
train_dataloader = dict(dataset=dict(class_names=dict(_delete_=True, **names), test_fraction=4 / 7))
val_dataloader = dict(dataset=dict(class_names=dict(_delete_=True, **names), test_fraction=4 / 7))
test_dataloader = val_dataloader

model = dict(
    data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]),
    backbone=dict(model_name='lite0-minilm', pretrained=None),
    head=dict(in_channels=384),
)
