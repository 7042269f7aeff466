"""Control: LMM-Reg. with the class means of the training images' own embeddings, on the demo.

    python tools/train.py configs/baselines/image_means_demo.py

If this does as well as LMM-Reg., no text is needed.
"""

_base_ = ['../lmmreg_demo.py']

method = 'image_means'
default_hooks = dict(class_means=dict(source='images'))
train_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline))  # no descriptions
