"""What describing on demand takes without requests: ``python dev/on_demand_time.py OUT``.

Trains the method in OUT, on BAR where $BAR_ROOT is set, else on the demo. Then it classifies the
first 120 test images by turns by the image alone, with a store that is empty, and with a store
that answers for all images, three times each, and prints CPU seconds, loading the text tower
included.
"""

import os
import sys
from pathlib import Path

import numpy as np

import mmpretrain_lmmreg.register  # noqa: F401
from mmpretrain_lmmreg.config import config_folder, load_config, method_file
from mmpretrain_lmmreg.datasets.pictures import pixel_key
from mmpretrain_lmmreg.deploy.classifier import load_classifier
from mmpretrain_lmmreg.deploy.on_demand import Request, describe_unsure, reader_of
from mmpretrain_lmmreg.deploy.predict import find_pictures, predict
from mmpretrain_lmmreg.descriptions.lines import encode
from mmpretrain_lmmreg.io.files import save_atomic
from mmpretrain_lmmreg.runner import LMMRegRunner

TURNS, IMAGES = 3, 120


def main(out: Path) -> None:
    """Train, classify and print."""
    base = 'lmmreg_bar_lite0.py' if os.environ.get('BAR_ROOT') else 'lmmreg_demo.py'
    cfg = load_config(method_file('describe_on_demand'), str(config_folder() / base))
    cfg.work_dir, config = str(out / 'run'), str(out / 'config.py')
    checkpoint = out / 'run' / 'epoch_1.pth'
    out.mkdir(parents=True, exist_ok=True)
    cfg.dump(config)
    if not checkpoint.exists():
        LMMRegRunner.from_cfg(cfg).train()
    classifier = load_classifier(config, str(checkpoint))
    root = os.environ.get('BAR_ROOT') or classifier.cfg.test_dataloader.dataset.data_root
    paths = find_pictures([str(Path(root, 'test'))])[:IMAGES]
    reader, embed = reader_of(classifier)
    answered = out / 'answered.jsonl'
    prompt = reader.prompts_for(np.zeros((1, 1)))[0][0]
    with save_atomic(answered) as file:
        for path in paths:
            text = f'A picture of {Path(path).stem}.'
            file.write(encode(dict(image=pixel_key(path), prompt=prompt, reply=text)))
    taken: dict[str, list[float]] = {'image alone': [], 'empty store': [], 'answered store': []}
    for turn in range(TURNS + 1):
        for name, seconds in taken.items():
            began = sum(os.times()[:4])
            results = predict(classifier, paths, {}, len(classifier.classes))
            if name != 'image alone':
                store = answered if name == 'answered store' else out / 'none.jsonl'
                sources = {path: path for path in paths}
                request = Request(None, store)
                describe_unsure(results, sources, classifier.classes, reader, embed, request)
            if turn:  # the first one warms up
                seconds.append(sum(os.times()[:4]) - began)
    alone = np.median(taken['image alone'])
    for name, seconds in taken.items():
        ratios = np.array(seconds) / np.array(taken['image alone'])
        print(
            f'{name}: {np.median(seconds):.2f} s for {len(paths)} images, ratio of medians '
            f'{np.median(seconds) / alone:.3f}, of turns {np.round(ratios, 2)}'
        )


if __name__ == '__main__':
    main(Path(sys.argv[1]))
