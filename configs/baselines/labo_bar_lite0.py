"""LaBo (a bottleneck of concepts, chosen from sentences) on BAR with lite0-minilm.

    python tools/train.py configs/baselines/labo_bar_lite0.py

Original (Yang et al. 2023): CLIP ViT-L/14, some 500 phrases of GPT-3 a class, 1 shot to all
images, all classes; Adam, for UCF-101 at 1e-5 with batches of 256, the best of 5,000 epochs and
the weights of the choice by validation images. Ours: this model, the descriptions of the training
images (or a JSON file of sentences of each class, model.head.sentences), all training images
(fewer by train_dataloader.dataset.shots), last of 100 epochs, at a rate of 5e-4, by which the
association can move as far as in the original's run on UCF-101; whole sentences are concepts, at
most 50 a class. The weights of the choice unless tools/sweep.py chooses:
--grid labo:model.head.discriminability=20,200 --grid labo:model.head.coverage=1,10,100
"""

_base_ = ['../lmmreg_bar_lite0.py']

method = 'labo'
protocol = 'all training images, last epoch; descriptions of each class'
model = dict(
    backbone=dict(trainable='none'),
    head=dict(
        _delete_=True,
        type='LaBoHead',
        num_classes={{_base_.model.head.num_classes}},
        in_channels={{_base_.model.head.in_channels}},
    ),
)
default_hooks = dict(learned_text=dict(type='LearnedTextHook'))
optim_wrapper = dict(optimizer=dict(lr=5e-4))
