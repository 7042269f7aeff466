"""A checkpoint is data: nothing in it runs, wherever it is read."""

import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer, MessageHub
from refused import refused

from mmpretrain_lmmreg.cli import export, predict, upstream
from mmpretrain_lmmreg.cli.run_tool import run_tool
from mmpretrain_lmmreg.config import config_folder
from mmpretrain_lmmreg.errors import InputError
from mmpretrain_lmmreg.hooks.run_folder import load_run
from mmpretrain_lmmreg.io import trusted


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
    torch.save(
        {'state_dict': {}, 'message_hub': message_hub()}, file, _use_new_zipfile_serialization=False
    )
    content = file.read_bytes()
    assert b'cnumpy._core.multiarray' in content or b'cnumpy.core.multiarray' in content
    for other in ('core', '_core'):
        content = content.replace(f'cnumpy.{other}.'.encode(), f'cnumpy.{core}.'.encode())
    file.write_bytes(content)
    loaded = trusted.read_checkpoint(str(file))['message_hub']
    assert loaded['log_scalars']['train/loss'].mean() == pytest.approx(0.375)
    assert loaded['runtime_info']['best'] == 97.5


@pytest.mark.parametrize(('owner', 'name'), [(HistoryBuffer, '__init__'), (np, 'load')])
def test_checkpoint_reads_no_other_attribute(owner, name):
    assert trusted._statistic(HistoryBuffer, 'mean') is HistoryBuffer.mean
    with pytest.raises(ValueError, match=f'may not read the attribute {name!r}'):
        trusted._statistic(owner, name)


@pytest.mark.parametrize('zipped', [True, False])
def test_code_is_refused_with_the_switch_for_files_that_are_trusted(tmp_path, monkeypatch, zipped):
    file, marker = tmp_path / 'a.pth', tmp_path / 'ran'
    content = dict(state_dict={}, meta=dict(config='raise SystemExit(1)', epoch=3), x=Runs(marker))
    torch.save(content, file, _use_new_zipfile_serialization=zipped)
    with refused('runner.checkpoint_unsafe', match='exec.*LMMREG_TRUST_CHECKPOINTS=1'):
        trusted.read_checkpoint(str(file), 'cpu')
    assert not marker.exists()
    monkeypatch.setenv('LMMREG_TRUST_CHECKPOINTS', '1')
    assert trusted.read_checkpoint(str(file), 'cpu')['meta'] == dict(epoch=3)
    assert marker.exists()


def test_attributes_beyond_the_log_values_are_refused(tmp_path):
    class Reads:
        def __reduce__(self):
            return getattr, (HistoryBuffer, '__init__')

    torch.save(dict(x=Reads()), tmp_path / 'a.pth')
    with refused('runner.checkpoint_unsafe', match='may not read the attribute'):
        trusted.read_checkpoint(str(tmp_path / 'a.pth'))


def test_a_url_is_read_as_data_too(tmp_path, monkeypatch):
    marker = tmp_path / 'ran'
    torch.save(dict(x=Runs(marker)), tmp_path / 'a.pth')
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))
    (tmp_path / 'checkpoints').mkdir()
    (tmp_path / 'a.pth').rename(tmp_path / 'checkpoints' / 'a.pth')  # as if downloaded
    with refused('runner.checkpoint_unsafe', match=r'https://host/a\.pth'):
        trusted.read_checkpoint('https://host/a.pth', 'cpu')
    for other in ('open-mmlab://x', 's3://x/a.pth'):
        with refused('runner.checkpoint_address', match=other):
            trusted.read_checkpoint(other, 'cpu')
    assert not marker.exists()


def spoil(file: Path, **changes) -> None:
    """Put a part into a checkpoint, as somebody else would."""
    content = torch.load(file, weights_only=False)
    content['meta'].update(changes.pop('meta', {}))
    torch.save({**content, **changes}, file)


def call(monkeypatch, main, *arguments) -> None:
    monkeypatch.setattr(sys, 'argv', ['tool.py', *map(str, arguments)])
    run_tool(main)


def upstreams(name: str):
    """The main function of mmpretrain's own ``tools/<name>.py``."""
    return upstream.upstream_tool(name).main


def commands(config: str, checkpoint: str, picture: Path) -> dict[str, tuple]:
    """The commands that read a checkpoint, ours and mmpretrain's."""
    more = ['--cfg-options', 'train_cfg.max_epochs=2']
    load_from = ['--work-dir', 'other', '--cfg-options', f'load_from={checkpoint}']
    resume = ['--work-dir', 'other', '--resume', checkpoint, *more]
    last = ['--work-dir', 'run', '--resume', *more]
    return {
        'predict': (predict.main, config, checkpoint, picture),
        'export': (export.main, config, checkpoint, 'out'),
    } | {
        f'{whose} {name}': command
        for whose, test, train in (
            ('our', upstream.test, upstream.train),
            ("mmpretrain's", upstreams('test'), upstreams('train')),
        )
        for name, command in {
            'test': (test, config, checkpoint),
            'resume': (train, config, *resume),
            'load_from': (train, config, *load_from),
            'last_checkpoint': (train, config, *last),
        }.items()
    }


def test_no_command_runs_what_a_checkpoint_holds(own, train, monkeypatch, capfd, tmp_path):
    monkeypatch.setenv('LMMREG_CONFIGS', str(config_folder()))
    train()
    marker, checkpoint = tmp_path / 'ran', Path('run/epoch_1.pth')
    spoil(checkpoint, meta=dict(config=f"open({str(marker)!r}, 'w').close()\n"))
    train('--resume', '--cfg-options', 'train_cfg.max_epochs=2')  # mmengine would execute it
    assert not marker.exists()
    assert load_run('run')['epochs'][-1]['epoch'] == 2
    Path('run/epoch_2.pth').unlink()
    spoil(checkpoint, extra=Runs(marker))
    picture = own / 'test' / 'red' / '0.png'
    for name, command in commands('own.py', str(checkpoint), picture).items():
        capfd.readouterr()
        with pytest.raises(SystemExit, match='2'):
            call(monkeypatch, *command)
        err = capfd.readouterr().err
        assert 'run/epoch_1.pth is refused' in err and 'Traceback' not in err, (name, err)
        assert not marker.exists(), name
    assert not Path('out').exists()


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def change(change_state):
    """A harm that changes the weights of a checkpoint by a function."""

    def harm(file: Path) -> None:
        content = torch.load(file, weights_only=False)
        change_state(content['state_dict'])
        torch.save(content, file)

    return harm


HARMS = {  # what the message says, and what is done to a checkpoint
    'is damaged': cut,
    'it lacks head.fc.bias': change(lambda state: state.pop('head.fc.bias')),
    'the model has no conv1.weight': lambda file: torch.save({'conv1.weight': torch.eye(2)}, file),
    'holds a value that is not finite': change(
        lambda state: state['head.fc.bias'].fill_(torch.nan)
    ),
    'must hold weights by name': change(lambda state: state.update(more=[1])),
}


def test_what_is_damaged_does_not_fit_or_cannot_be_resumed_is_one_message(
    own, train, monkeypatch, capfd
):
    train()
    checkpoint = Path('run/epoch_1.pth')
    whole = checkpoint.read_bytes()
    resume = (upstream.train, 'own.py', '--work-dir', 'run', '--resume')
    lacks = 'lacks the state that training continues from'
    for command, said, harm in (
        *(((upstream.test, 'own.py', checkpoint), said, harm) for said, harm in HARMS.items()),
        (resume, lacks, lambda file: spoil(file, message_hub=None)),
        (resume, lacks, lambda file: spoil(file, optimizer={})),
        (resume, lacks, lambda file: spoil(file, param_schedulers=3)),
    ):
        checkpoint.write_bytes(whole)
        harm(checkpoint)
        capfd.readouterr()
        with pytest.raises(SystemExit, match='2'):
            call(monkeypatch, *command)
        err = capfd.readouterr().err
        assert str(checkpoint) in err and said in err and 'Traceback' not in err, err


def test_a_part_of_a_checkpoint_is_taken_where_the_config_says_so(own, train, monkeypatch, capfd):
    train()
    path = Path('run/epoch_1.pth')
    state = torch.load(path, weights_only=False)['state_dict']
    state['head.fc.weight'] = torch.zeros(7, 16)  # of other classes
    projection = state['backbone.visual.proj'].fill_(0.125)
    torch.save(state, path)
    options = ['load_from=run/epoch_1.pth', 'load_partly=True', 'optim_wrapper.optimizer.lr=0']
    call(monkeypatch, upstream.train, 'own.py', '--work-dir', 'part', '--cfg-options', *options)
    out = ''.join(capfd.readouterr())
    assert 'these are not: head.fc.weight' in out
    taken = torch.load('part/epoch_1.pth', weights_only=False)['state_dict']
    assert torch.equal(taken['backbone.visual.proj'], projection)
    assert torch.equal(taken['head.fc.bias'], state['head.fc.bias'])
    assert taken['head.fc.weight'].shape == (3, 16)
    for command in (upstream.test, 'own.py', str(path)), (upstream.train, 'own.py', '--resume'):
        more = ['--work-dir', 'part', '--cfg-options', 'load_partly=True']
        with pytest.raises(SystemExit, match='2'):
            call(monkeypatch, *command, *([str(path)] if len(command) == 3 else []), *more)


@pytest.mark.parametrize(
    ('named', 'changes'),
    [
        ('meta', dict(meta=[])),
        ('meta.epoch', dict(meta=dict(epoch='1'))),
        ('meta.seed', dict(meta=dict(epoch=1, iter=1, seed='x'))),
        ('meta.dataset_meta.classes', dict(meta=dict(dataset_meta=dict(classes=3)))),
        ('message_hub', dict(message_hub=dict(log_scalars=[], runtime_info={}, resumed_keys={}))),
        ('optimizer', dict(optimizer=[1])),
        ('ema_state_dict', dict(ema_state_dict=dict(steps=1))),
        ('state_dict', dict(state_dict=[])),
        ('state_dict', dict(state_dict=None)),
        ('state_dict', dict(state_dict={'w': torch.zeros(2, device='meta')})),
        ('state_dict', dict(state_dict={'w': torch.eye(2).to_sparse()})),
        ('weight w', dict(state_dict={'w': torch.tensor([torch.inf])})),
    ],
)
def test_a_field_of_another_type_is_named(tmp_path, named, changes):
    torch.save({'state_dict': {'w': torch.zeros(2)}} | changes, tmp_path / 'a.pth')
    with pytest.raises(InputError) as error:
        trusted.read_checkpoint(str(tmp_path / 'a.pth'))
    assert error.value.code in ('runner.checkpoint_form', 'runner.checkpoint_not_finite')
    assert f'{tmp_path}/a.pth' in str(error.value) and named in str(error.value)


@pytest.mark.parametrize('content', [[], 'text', {}, 3, {1: torch.zeros(1)}])
def test_what_is_no_checkpoint(tmp_path, content):
    torch.save(content, tmp_path / 'a.pth')
    with refused('runner.checkpoint_form'):
        trusted.read_checkpoint(str(tmp_path / 'a.pth'))
    (tmp_path / 'a.pth').write_bytes(pickle.dumps(Runs(tmp_path / 'ran')))
    with refused('runner.checkpoint_damaged'):
        trusted.read_checkpoint(str(tmp_path / 'a.pth'))
    assert not (tmp_path / 'ran').exists()
