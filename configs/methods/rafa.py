"""Control: LMM-Reg. with targets drawn at random for each image and step (CLIP-Refine's RaFA).

    python tools/train.py configs/methods/rafa.py --on configs/lmmreg_bar.py

If this does as well as LMM-Reg., the targets need to say nothing at all. Original (Yamaguchi et al.
2025): CLIP's towers are trained on for an epoch on pairs of COCO, images and texts towards the same
draw of N(0, 1), beside a distillation of the pretrained similarities, half of which is the pairs
themselves; both with weight 1, by AdamW at 1e-6 in batches of 512. Ours: such targets in place of
the class means, with alpha=0.01 and the data's reduction; no distillation, as class labels are
learned.
"""

_base_ = 'finetune.py'

method = 'rafa'
model = dict(head=dict(type='RaFAHead', alpha=0.01))
