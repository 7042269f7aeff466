"""CascadeVLM: CLIP's likeliest classes, among which an LMM chooses.

    python tools/train.py configs/methods/cascade_vlm.py --on configs/lmmreg_bar.py
    mmpretrain-lmmreg predict CONFIG CHECKPOINT IMAGES --describer openai --lmm NAME --budget 0.2

Original (Wei et al. 2024, arXiv 2405.11301): images whose entropy is above a threshold are asked
about, of all candidates by name in one prompt. Their code could not be had: the wording of the
prompt and candidates=5 are ours. Ours: --budget sets the threshold, unless model.head.threshold
does; an answer that names no candidate, or several, leaves CLIP's class; the prompt names
candidates in the order of CLIP's scores. Testing is by CLIP alone.
"""

_base_ = 'zero_shot.py'

method = 'cascade_vlm'
protocol = 'class names only, no training; predict asks an LMM'
model = dict(head=dict(type='CascadeVLMHead', candidates=5))
