"""Fine-tuning without the regulariser (the paper's baseline) on the demo.

python tools/train.py configs/baselines/finetune_demo.py
"""

_base_ = ['../lmmreg_demo.py']

method = 'finetune'
model = dict(head=dict(alpha=0))
train_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline))  # no descriptions
