"""Time and memory of a training step on ViT-L/14 (random weights) with UCF-101's class names.

    python tests/heads/one_step.py coop|cocoop|labo|clip_a_self

Prints JSON. Batches are the config's, of trunk features; sentences, where the method has some, are
20 a class, with random embeddings.
"""

import json
import resource
import sys
import time
from types import SimpleNamespace

import mmpretrain_lmmreg.register  # noqa: F401  first, since it lets torchvision be imported

# isort: split
import torch
from mmengine.optim import build_optim_wrapper
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample

from mmpretrain_lmmreg.config import config_folder, load_config, method_file
from mmpretrain_lmmreg.datasets.ucf101 import UCF101_CLASSES
from mmpretrain_lmmreg.features.dataset import features_as_inputs
from mmpretrain_lmmreg.heads.inputs import HeadInputs
from mmpretrain_lmmreg.text.prompts import TEMPLATES

UCF101 = config_folder() / 'lmmreg_ucf101.py'
DEVICE = 'cuda' if torch.cuda.is_available() else 'cpu'


def prepare(method):
    """The method's model, with its texts, and its optimizer."""
    cfg = load_config(method_file(method), UCF101)
    cfg.model.backbone.pretrained = None
    torch.manual_seed(0)
    model = MODELS.build(cfg.model).to(DEVICE)
    head = model.head
    if method == 'labo':
        torch.nn.init.normal_(head.concepts)
    elif method == 'clip_a_self':
        head.embeddings = torch.randn(101, 20, 768, device=DEVICE)
        head.there = torch.ones(101, 20, dtype=torch.bool, device=DEVICE)
    else:
        dataset = SimpleNamespace(metainfo=dict(classes=UCF101_CLASSES))
        loop = SimpleNamespace(dataloader=SimpleNamespace(dataset=dataset))
        head.set_up(HeadInputs(model, [loop], TEMPLATES))
    head.ready = True
    head.keep_class_weights()
    return cfg, model.train(), build_optim_wrapper(model, cfg.optim_wrapper)


def measure(method, steps=3):
    """Seconds of the quickest of some steps, peak memory with the image tower, what trained."""
    cfg, model, optimizer = prepare(method)
    batch = cfg.train_dataloader.batch_size
    samples = [DataSample().set_gt_label(i % 101) for i in range(batch)]
    data = dict(inputs=torch.randn(batch, 1024, device=DEVICE), data_samples=samples)
    seconds = []
    with features_as_inputs(model):
        for _ in range(steps):
            start = time.perf_counter()
            loss = model.train_step(data, optimizer)['loss'].item()
            seconds.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 2**10
    if DEVICE == 'cuda':
        peak = torch.cuda.max_memory_allocated()
    stepped = {id(p) for p in optimizer.optimizer.state}
    trained = {n: p.numel() for n, p in model.named_parameters() if id(p) in stepped}
    return dict(
        method=method,
        device=DEVICE,
        threads=torch.get_num_threads(),
        batch=batch,
        seconds=round(min(seconds), 3),
        peak_gib=round(peak / 2**30, 2),
        loss=loss,
        trained=trained,
    )


if __name__ == '__main__':
    print(json.dumps(measure(sys.argv[1])))
