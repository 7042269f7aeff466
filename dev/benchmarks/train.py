"""100 epochs from the feature table beside a bare torch loop on the same tensors."""

import copy
import json
import time
from pathlib import Path
from statistics import median

import open_clip
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.registry import DATASETS
from torch import Tensor, nn
from torch.utils.data import Dataset

from mmpretrain_lmmreg.clip.backbone import CPU_BATCH
from mmpretrain_lmmreg.config import config_folder
from mmpretrain_lmmreg.features.keys import feature_cache_key, file_key, row_key
from mmpretrain_lmmreg.io.table import VectorTable

from .measure import Row

MODEL = 'one-block-as-wide-as-vit-l14'
TOWER = dict(image_size=28, layers=1, width=1024, head_width=64, patch_size=14)
TEXT = dict(context_length=8, vocab_size=64, width=64, heads=1, layers=1)


@DATASETS.register_module()
class MadeUpImages(Dataset):
    """Samples of images that are not there; their features are."""

    def __init__(self, count: int, classes: int, pipeline: list[dict]) -> None:
        self.count, self.pipeline = count, Compose(pipeline)
        self.metainfo = dict(classes=[str(i) for i in range(classes)])

    def __len__(self) -> int:
        return self.count

    def get_data_info(self, index: int) -> dict:
        label = index % len(self.metainfo['classes'])
        return dict(img_path=f'/made-up/{index}.jpg', rel_path=f'{index}.jpg', gt_label=label)


class BareLoop(Hook):
    """After each of our epochs, one of a bare torch loop on the same batches, both timed."""

    priority = 'LOW'  # below what trains, above what saves

    def __init__(self, features: Tensor, fused: bool) -> None:
        self.features, self.fused = features, fused
        self.ours, self.bare = [], []

    def before_train(self, runner: Runner) -> None:
        head = runner.model.head
        head.set_class_means(torch.randn(head.num_classes, head.in_channels))
        self.projection = nn.Parameter(runner.model.backbone.visual.proj.detach().clone())
        self.fc, self.means = copy.deepcopy(head.fc), head.class_means.clone()
        self.labels = torch.arange(len(self.features)) % head.num_classes
        self.alpha = head.alpha
        self.optimizer = torch.optim.Adam(
            [self.projection, *self.fc.parameters()], lr=1e-4, fused=self.fused
        )

    def before_train_epoch(self, runner: Runner) -> None:
        self.batches = [torch.tensor(batch) for batch in runner.train_dataloader.batch_sampler]
        self.started = time.perf_counter()

    def after_train_epoch(self, runner: Runner) -> None:
        middle = time.perf_counter()
        self.ours.append(middle - self.started)
        for batch in self.batches:
            self.step(self.features[batch], self.labels[batch])
        self.bare.append(time.perf_counter() - middle)

    def step(self, features: Tensor, labels: Tensor) -> None:
        x = features @ self.projection
        distance = (x - self.means[labels]).square().sum(1).mean()
        loss = F.cross_entropy(self.fc(x), labels) + self.alpha * distance
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()


def train_row(folder: Path, epochs: int = 100, images: int = 9537, classes: int = 101) -> Row:
    """``train_vs_torch``: the training part, fed from a table, beside a bare loop.

    The bare loop is given the faster of Adam's two settings. Caches are read and written in
    ``$LMMREG_CACHE``, the rest below ``folder``.
    """
    features = torch.randn(images, TOWER['width'], generator=torch.Generator().manual_seed(0))
    trials = {
        fused: _run(folder / f'trial-{fused}', features, classes, 3, fused)[1]
        for fused in (False, True)
    }
    fused = min(trials, key=lambda setting: median(trials[setting].bare))
    model, hook = _run(folder / 'run', features, classes, epochs, fused)
    difference = (model.backbone.visual.proj - hook.projection).norm() / hook.projection.norm()
    ours, bare = sum(hook.ours), sum(hook.bare)  # their epochs took turns
    return Row(
        'train_vs_torch',
        f'{epochs} epochs on {images} × {TOWER["width"]} → {classes}, s, beside a bare torch loop '
        f'with {"fused" if fused else "plain"} Adam',
        ours,
        bare,
        ours / bare,
        # no lower: a step past mmengine's hooks gains less than a tenth of a whole run
        1.25,
        {
            f'same projection (relative difference {difference:.0e} ≤ 1e-5)': bool(
                difference <= 1e-5
            )
        },
        at_least=False,
    )


def _run(
    folder: Path, features: Tensor, classes: int, epochs: int, fused: bool
) -> tuple[nn.Module, BareLoop]:
    """Train from a table that holds ``features``, with the bare loop beside it."""
    cfg = made_up_config(folder, len(features), classes, epochs, fused)
    runner = Runner.from_cfg(cfg)
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    table = VectorTable('features', feature_cache_key(runner.model, dataset))
    paths = [dataset.get_data_info(index)['img_path'] for index in range(len(dataset))]
    table.add([row_key(file_key(path, CPU_BATCH), '') for path in paths], features)
    hook = BareLoop(features, fused)
    runner.register_hook(hook)
    runner.train()
    return runner.model, hook


def made_up_config(
    folder: Path, images: int, classes: int, epochs: int, fused: bool, width: int | None = None
) -> Config:
    """The config for UCF-101, less its images, its texts and what follows the training."""
    folder.mkdir(parents=True)
    tower = dict(TOWER, width=width or TOWER['width'])
    model = dict(embed_dim=768, vision_cfg=tower, text_cfg=TEXT)
    (folder / f'{MODEL}.json').write_text(json.dumps(model))
    open_clip.add_model_config(folder)
    cfg = Config.fromfile(config_folder() / 'lmmreg_ucf101.py')
    cfg.merge_from_dict(
        {
            'work_dir': str(folder),
            'train_cfg.max_epochs': epochs,
            'log_level': 'ERROR',
            'model.backbone.model_name': MODEL,
            'model.backbone.pretrained': None,
            'model.head.num_classes': classes,
            'optim_wrapper.optimizer.fused': fused,
            'default_hooks.checkpoint.interval': epochs,
        }
    )
    del cfg.default_hooks.class_means, cfg.default_hooks.results
    pipeline = [t for t in cfg.train_dataloader.dataset.pipeline if 'Attach' not in t.type]
    cfg.train_dataloader.update(num_workers=0, persistent_workers=False)
    cfg.train_dataloader.dataset = dict(
        type='MadeUpImages', count=images, classes=classes, pipeline=pipeline
    )
    for name in ('val', 'test'):
        for part in ('dataloader', 'cfg', 'evaluator'):
            cfg[f'{name}_{part}'] = None
    return cfg
