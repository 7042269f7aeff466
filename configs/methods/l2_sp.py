"""Fine-tuning held to the pretrained projection (L2-SP).

    python tools/train.py configs/methods/l2_sp.py --on configs/lmmreg_bar.py

Original (Li et al. 2018): whole ResNets, alpha (towards the pretrained weights) chosen on
validation images, beta=0.01 for the new layer. Ours: the projection alone; alpha=0.1 unless
tools/sweep.py chooses: --grid l2_sp:model.l2_sp=0.01,0.1,1,10
"""

_base_ = 'finetune.py'

method = 'l2_sp'
protocol = 'all training images, last epoch'
model = dict(type='L2SPClassifier', l2_sp=0.1, l2_new=0.01)
