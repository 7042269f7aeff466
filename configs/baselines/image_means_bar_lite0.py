"""Control: LMM-Reg. with class means of image embeddings, on BAR with lite0-minilm.

    python tools/train.py configs/baselines/image_means_bar_lite0.py

With lite0-minilm, see lmmreg_bar_lite0.py.
If this does as well as LMM-Reg., no text is needed.
"""

_base_ = ['../lmmreg_bar_lite0.py']

method = 'image_means'
default_hooks = dict(class_means=dict(source='images'))
train_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline))  # no descriptions
