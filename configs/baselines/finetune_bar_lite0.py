"""Fine-tuning without the regulariser on BAR with lite0-minilm (see lmmreg_bar_lite0.py).

python tools/train.py configs/baselines/finetune_bar_lite0.py
"""

_base_ = ['../lmmreg_bar_lite0.py']

method = 'finetune'
model = dict(head=dict(alpha=0))
train_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline))  # no descriptions
