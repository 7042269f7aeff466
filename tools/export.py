"""Make a folder that classifies with open_clip alone.

    python tools/export.py CONFIG work_dirs/x/epoch_100.pth exported
    python exported/predict.py holiday/*.jpg

OUT holds the weights under open_clip's own names, the head, class names, preprocessing, a
temperature fitted on the config's validation images if it has some that are neither training
nor test images, and a script that needs open_clip, safetensors and pillow. Its probabilities
are compared with the model's before OUT appears. The text tower comes along where its
pretrained weights are at hand.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a checkout needs no install

from mmpretrain_lmmreg.deploy.export import parser, run  # noqa: E402
from mmpretrain_lmmreg.launch import run_tool  # noqa: E402

if __name__ == '__main__':
    run_tool(lambda: run(parser(__doc__).parse_args()))
