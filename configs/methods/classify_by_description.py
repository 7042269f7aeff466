"""Zero-shot classifier of the mean similarity to each class's descriptors.

    python tools/train.py configs/methods/classify_by_description.py --on configs/lmmreg_bar.py

Original (Menon and Vondrick 2023): 5.8 descriptors a class on average by GPT-3, behind the class's
name; all CLIP models. Ours: the data's `sentences`, without any the descriptions of the training
images as they are. What decided: tools/predict.py --explain.
"""

_base_ = __import__('os').environ.get('LMMREG_ON') or '../lmmreg_demo.py'

method = 'classify_by_description'
source = 'LLM descriptors' if _base_.sentences else 'descriptions of all training images'
protocol = f'{source}, no training'
model = dict(
    backbone=dict(trainable='none'),
    head=dict(
        _delete_=True,
        type='ClassifyByDescriptionHead',
        sentences={{_base_.sentences}},
        num_classes={{_base_.model.head.num_classes}},
        in_channels={{_base_.model.head.in_channels}},
    ),
)
train_cfg = dict(max_epochs=1)  # without a step, since nothing has a gradient
