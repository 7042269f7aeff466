# CLIP's own preprocessing, no augmentation; a data set adds its `dataset`.
pixels = [
    dict(type='LoadPicture'),
    dict(type='ResizeEdge', scale=224, edge='short', backend='pillow', interpolation='bicubic'),
    dict(type='CenterCrop', crop_size=224),
]
train_pipeline = [
    *pixels,
    dict(type='AttachDescriptions', missing='warn'),
    dict(type='PackInputs'),
]
test_pipeline = [*pixels, dict(type='PackInputs')]

train_dataloader = dict(
    batch_size=64,
    num_workers=2,
    dataset=dict(split='train', pipeline=train_pipeline),
    sampler=dict(type='DefaultSampler', shuffle=True),
)
# The paper's curves: test accuracy after every epoch. It selects nothing.
val_dataloader = dict(
    batch_size=64,
    num_workers=2,
    dataset=dict(split='test', pipeline=test_pipeline),
    sampler=dict(type='DefaultSampler', shuffle=False),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='Accuracy', topk=1)
test_evaluator = val_evaluator

# What the methods of configs/methods take from the data; a data set or a child config may differ.
templates = ['a photo of a {}.']  # prompts with the class names
sentences = None  # JSON file {class: [sentence, ...]} of LaBo and CLIP-A-self; None: descriptions
keep_descriptions = False  # in the train pipeline of methods that do not read them
