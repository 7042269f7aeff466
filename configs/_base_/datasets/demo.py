# The drawn demo, made on first use: square pictures, of which the tiny CLIP takes 64 pixels.
_base_ = ['clip_images.py']

pixels = [
    dict(type='LoadPicture'),
    dict(type='ResizeEdge', scale=64, edge='short', backend='pillow', interpolation='bicubic'),
    dict(type='CenterCrop', crop_size=64),
]
train_pipeline = [
    *pixels,
    dict(type='AttachDescriptions', missing='warn'),
    dict(type='PackInputs'),
]
test_pipeline = [*pixels, dict(type='PackInputs')]

train_dataloader = dict(num_workers=0, dataset=dict(type='DemoActions', pipeline=train_pipeline))
val_dataloader = dict(num_workers=0, dataset=dict(type='DemoActions', pipeline=test_pipeline))
test_dataloader = val_dataloader

templates = ['a photo of a person {}.']
