"""Classify pictures: ``python tools/predict.py CONFIG CHECKPOINT IMAGE...``

    python tools/predict.py CONFIG work_dirs/x/epoch_100.pth holiday/ 'more/*.jpg' --topk 3

Shown are the likeliest classes and, where the checkpoint has class means, the Euclidean
distance of the picture's embedding to the nearest of them, as a score for "none of these". Try it
on pictures you know before you rely on it: embeddings of unsure pictures are short, and a short
embedding can be near all means. A low probability of the likeliest class is a second sign.
Pictures that cannot be read are named on stderr and skipped, and the
exit code is then 1.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a checkout needs no install

from mmpretrain_lmmreg.deploy.predict import parser, run  # noqa: E402
from mmpretrain_lmmreg.launch import run_tool  # noqa: E402

if __name__ == '__main__':
    run_tool(lambda: sys.exit(run(parser(__doc__).parse_args())))
