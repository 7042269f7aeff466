"""Control: LMM-Reg. with prompts of class names for descriptions, on BAR with lite0-minilm.

    python tools/train.py configs/baselines/class_names_bar_lite0.py

If this does as well as LMM-Reg., the class names alone suffice.
"""

_base_ = ['../lmmreg_bar_lite0.py']

method = 'class_names'
default_hooks = dict(class_means=dict(source='class_names'))
train_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline))  # no descriptions
