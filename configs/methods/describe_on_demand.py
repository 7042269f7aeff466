"""Image classifier that is told about the images it is unsure of, by their descriptions.

    python tools/train.py configs/methods/describe_on_demand.py --on configs/lmmreg_bar.py

Descriptions of some training images (python tools/describe.py CONFIG --per-class 5 --count 1) say
how much descriptions are worth; without any, this is the image classifier. Another one is chosen
by model.head.classifier.type. Testing is by the image alone; mmpretrain-lmmreg predict asks.
"""

_base_ = __import__('os').environ.get('LMMREG_ON') or '../lmmreg_demo.py'

method = 'describe_on_demand'
protocol = 'all training images, exponents by cross-validation on the described ones'
model = dict(
    backbone=dict(trainable='none'),
    head=dict(
        _delete_=True,
        type='DescribeOnDemandHead',
        classifier=dict(type='LogisticRegressionHead', C=10.0),
        num_classes={{_base_.model.head.num_classes}},
        in_channels={{_base_.model.head.in_channels}},
    ),
)
train_cfg = dict(max_epochs=1)  # without a step, since nothing has a gradient
