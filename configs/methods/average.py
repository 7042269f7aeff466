"""A weighted sum of the logits of several methods, each trained by itself.

    python tools/train.py configs/methods/average.py --on configs/lmmreg_bar.py

This project's own: see AverageHead. `mmpretrain-lmmreg fit` finds members and weights by
cross-validation; here three methods count alike. A member's keys are those of a method's config;
clip_svd, nola and methods that draw at each step (cross_modal, m2_mix, rafa, clip_a_self) cannot be
members.
"""

_base_ = 'linear_probe.py'

method = 'average'
protocol = 'all training images; members as they say'
model = dict(
    backbone=dict(output='trunk'),
    head=dict(
        _delete_=True,
        type='AverageHead',
        num_classes={{_base_.model.head.num_classes}},
        in_channels=None,  # that of the trunk, found out when trained
        members=[
            dict(weight=0.33, head=dict(type='GDAHead', alpha=1.0)),
            dict(weight=0.33, head=dict(type='LogisticRegressionHead', C=0.01), output='trunk'),
            dict(
                weight=0.33,
                head=dict(type='ClassMeanRegHead', alpha=0.0),
                trainable='proj',
                optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=3e-4)),
                train_cfg=dict(max_epochs=1, min_iters=300),
            ),
        ],
    ),
)
train_cfg = dict(max_epochs=1)  # without a step, since nothing has a gradient
