"""A checkpoint is data: nothing in it runs, wherever it is read."""

import json
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer, MessageHub
from mmengine.runner import CheckpointLoader, Runner

from mmpretrain_lmmreg.checkpoints import trust
from mmpretrain_lmmreg.checkpoints.files import digest_file
from mmpretrain_lmmreg.cli import export, predict, upstream
from mmpretrain_lmmreg.cli.run_tool import run_tool
from mmpretrain_lmmreg.errors import InputError


class Runs:
    """Its pickle writes a file when it is read."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return exec, (f"open({str(self.marker)!r}, 'w').close()",)


def message_hub() -> dict:
    """What mmengine puts into a checkpoint beside the weights."""
    hub = MessageHub('test_trust')
    for value in (0.5, np.float32(0.25)):
        hub.update_scalar('train/loss', value)
    hub.update_info('best', np.float64(97.5))
    return hub.state_dict()


@pytest.mark.parametrize('core', ['core', '_core'])
def test_mmengines_own_checkpoint_loads_with_the_names_of_either_numpy(tmp_path, core):
    file = tmp_path / 'epoch_1.pth'
    torch.save({'message_hub': message_hub()}, file, _use_new_zipfile_serialization=False)
    content = file.read_bytes()
    assert b'cnumpy._core.multiarray' in content or b'cnumpy.core.multiarray' in content
    for other in ('core', '_core'):
        content = content.replace(f'cnumpy.{other}.'.encode(), f'cnumpy.{core}.'.encode())
    file.write_bytes(content)
    loaded = trust.read_checkpoint(str(file))['message_hub']
    assert loaded['log_scalars']['train/loss'].mean() == pytest.approx(0.375)
    assert loaded['runtime_info']['best'] == 97.5


@pytest.mark.parametrize(('owner', 'name'), [(HistoryBuffer, '__init__'), (np, 'load')])
def test_checkpoint_reads_no_other_attribute(owner, name):
    assert trust._statistic(HistoryBuffer, 'mean') is HistoryBuffer.mean
    with pytest.raises(ValueError, match=f'may not read the attribute {name!r}'):
        trust._statistic(owner, name)


@pytest.mark.parametrize('zipped', [True, False])
def test_code_is_refused_with_the_switch_for_files_that_are_trusted(tmp_path, monkeypatch, zipped):
    file, marker = tmp_path / 'a.pth', tmp_path / 'ran'
    content = dict(state_dict={}, meta=dict(config='raise SystemExit(1)', epoch=3), x=Runs(marker))
    torch.save(content, file, _use_new_zipfile_serialization=zipped)
    with pytest.raises(InputError) as error:
        CheckpointLoader.load_checkpoint(str(file), 'cpu')
    assert not marker.exists()
    assert f'{file} is refused' in str(error.value) and 'exec' in str(error.value)
    assert 'LMMREG_TRUST_CHECKPOINTS=1' in str(error.value)
    monkeypatch.setenv('LMMREG_TRUST_CHECKPOINTS', '1')
    assert CheckpointLoader.load_checkpoint(str(file), 'cpu')['meta'] == dict(epoch=3)
    assert marker.exists()


def test_attributes_beyond_the_log_values_are_refused(tmp_path):
    class Reads:
        def __reduce__(self):
            return getattr, (HistoryBuffer, '__init__')

    torch.save(dict(x=Reads()), tmp_path / 'a.pth')
    with pytest.raises(InputError, match='is refused.*may not read the attribute'):
        trust.read_checkpoint(str(tmp_path / 'a.pth'))


def test_a_url_is_read_as_data_too(tmp_path, monkeypatch):
    marker = tmp_path / 'ran'
    torch.save(dict(x=Runs(marker)), tmp_path / 'a.pth')
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))
    (tmp_path / 'checkpoints').mkdir()
    (tmp_path / 'a.pth').rename(tmp_path / 'checkpoints' / 'a.pth')  # as if downloaded
    with pytest.raises(InputError, match=r'https://host/a\.pth is refused'):
        CheckpointLoader.load_checkpoint('https://host/a.pth', 'cpu')
    with pytest.raises(InputError, match='download this checkpoint'):
        CheckpointLoader.load_checkpoint('open-mmlab://x', 'cpu')
    assert not marker.exists()


def spoil(file: Path, **changes) -> None:
    """Put a part into a checkpoint as somebody else would, who keeps no digest."""
    content = torch.load(file, weights_only=False)
    content['meta'].update(changes.pop('meta', {}))
    torch.save({**content, **changes}, file)
    digest_file(file).unlink(missing_ok=True)


def call(monkeypatch, main, *arguments) -> None:
    monkeypatch.setattr(sys, 'argv', ['tool.py', *map(str, arguments)])
    run_tool(main)


def commands(config: str, checkpoint: str, picture: Path) -> dict[str, tuple]:
    """The commands that read a checkpoint."""
    load_from = ['--cfg-options', f'load_from={checkpoint}']
    more = ['--cfg-options', 'train_cfg.max_epochs=2']
    train = upstream.train
    return {
        'test': (upstream.test, config, checkpoint),
        'predict': (predict.main, config, checkpoint, picture),
        'export': (export.main, config, checkpoint, 'out'),
        'resume': (train, config, '--work-dir', 'other', '--resume', checkpoint, *more),
        'load_from': (train, config, '--work-dir', 'other', *load_from),
        'last_checkpoint': (train, config, '--work-dir', 'run', '--resume', *more),
    }


def test_no_command_runs_what_is_in_a_checkpoint(own, train, monkeypatch, capfd, tmp_path):
    train()
    marker, checkpoint = tmp_path / 'ran', Path('run/epoch_1.pth')
    spoil(checkpoint, extra=Runs(marker))
    picture = own / 'test' / 'red' / '0.png'
    capfd.readouterr()
    for name, command in commands('own.py', str(checkpoint), picture).items():
        with pytest.raises(SystemExit, match='2'):
            call(monkeypatch, *command)
        err = capfd.readouterr().err
        assert 'run/epoch_1.pth is refused' in err and 'Traceback' not in err, name
        assert not marker.exists(), name
    assert not Path('out').exists()


def test_cut_checkpoints_give_one_message(own, train, monkeypatch, capfd):
    train()
    checkpoint = Path('run/epoch_1.pth')
    whole = checkpoint.read_bytes()
    picture = own / 'test' / 'red' / '0.png'
    checkpoint.write_bytes(whole[: len(whole) // 2])
    capfd.readouterr()
    for name, command in commands('own.py', str(checkpoint), picture).items():
        with pytest.raises(SystemExit, match='2'):
            call(monkeypatch, *command)
        err = capfd.readouterr().err
        assert 'run/epoch_1.pth is damaged' in err and 'Traceback' not in err, name


def test_the_config_in_a_checkpoint_is_not_executed(own, train, tmp_path):
    train()
    marker = tmp_path / 'ran'
    spoil(Path('run/epoch_1.pth'), meta=dict(config=f"open({str(marker)!r}, 'w').close()\n"))
    train('--resume', '--cfg-options', 'train_cfg.max_epochs=2')
    assert not marker.exists()
    assert json.loads(Path('run/results/run.json').read_text())['epochs'][-1]['epoch'] == 2


def test_plain_runner_reads_data_only(tiny_config, tmp_path):
    marker = tmp_path / 'ran'
    torch.save(dict(state_dict={}, extra=Runs(marker)), tmp_path / 'a.pth')
    runner = Runner.from_cfg(tiny_config)
    with pytest.raises(InputError, match='is refused'):
        runner.load_checkpoint(str(tmp_path / 'a.pth'))
    assert not marker.exists()
    (tmp_path / 'a.pth').write_bytes(pickle.dumps(Runs(marker)))
    with pytest.raises(InputError, match='is damaged, or no checkpoint'):
        runner.load_checkpoint(str(tmp_path / 'a.pth'))
    assert not marker.exists()
