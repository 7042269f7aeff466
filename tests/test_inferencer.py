"""mmpretrain's own inferencer works on our config and checkpoint."""

import pytest
import torch
from mmengine.runner import Runner
from mmpretrain import ImageClassificationInferencer


def test_image_classification_inferencer(tiny_config, pictures, tmp_path):
    runner = Runner.from_cfg(tiny_config)
    runner.train()
    config = tmp_path / 'config.py'
    tiny_config.dump(config)
    inferencer = ImageClassificationInferencer(
        str(config), pretrained=f'{runner.work_dir}/epoch_2.pth', device='cpu'
    )
    images = [str(pictures / 'test' / name / '0.png') for name in ('blue', 'green', 'red')]
    results = inferencer(images, batch_size=2)
    assert [r['pred_class'] for r in results] == [
        ['blue', 'green', 'red'][r['pred_label']] for r in results
    ]
    loader = runner.build_dataloader(dict(tiny_config.test_dataloader, batch_size=12))
    with torch.no_grad():
        samples = runner.model.test_step(next(iter(loader)))
    expected = {s.img_path: s.pred_score for s in samples}
    for image, result in zip(images, results, strict=True):
        assert result['pred_scores'] == pytest.approx(expected[image].numpy(), abs=1e-6)
