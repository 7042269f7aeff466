"""Control: LMM-Reg. with prompts of the class names in place of descriptions, on the demo.

    python tools/train.py configs/baselines/class_names_demo.py

If this does as well as LMM-Reg., the class names alone suffice.
"""

_base_ = ['../lmmreg_demo.py']

method = 'class_names'
default_hooks = dict(class_means=dict(source='class_names'))
train_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline))  # no descriptions
