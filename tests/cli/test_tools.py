"""tools/train.py and tools/test.py: upstream's options, our checks, launchers, exit codes."""

import argparse
import contextlib
import os
import signal
import socket
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from refused import refused
from smoke.tiny import write_project

from mmpretrain_lmmreg.cli import launchers, main, prepare, upstream
from mmpretrain_lmmreg.cli.run_tool import run_tool
from mmpretrain_lmmreg.config import method_file
from mmpretrain_lmmreg.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / 'tools'
RANKS = ('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'MASTER_ADDR', 'MASTER_PORT')


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    for name in (*RANKS, 'LMMREG_CONFIGS', 'LMMREG_TRACEBACK'):
        monkeypatch.setenv(name, '')  # so that it is restored, whatever sets it in between
        monkeypatch.delenv(name)


def run(command: list, cwd: Path, **environment: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, 'OMP_NUM_THREADS': '1', **environment}
    command = list(map(str, command))
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment)


def ran(command: list, cwd: Path, **environment: str) -> str:
    """Run a command that must succeed; return what it printed."""
    done = run(command, cwd, **environment)
    printed = done.stdout + done.stderr
    assert done.returncode == 0, f'exit code {done.returncode}\n{printed[-4000:]}'
    return printed


def free_port() -> str:
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        return str(free.getsockname()[1])


class TestRunTool:
    def fail(self):
        raise InputError('no such thing; do this', code='config.missing')

    def test_mistake_is_one_message_and_code_2(self, capsys):
        with pytest.raises(SystemExit) as exit_:
            run_tool(self.fail)
        assert exit_.value.code == 2
        assert capsys.readouterr().err == 'error: no such thing; do this\n'

    def test_traceback_on_demand(self, monkeypatch):
        monkeypatch.setenv('LMMREG_TRACEBACK', '1')
        with refused('config.missing'):
            run_tool(self.fail)

    def test_ctrl_c_says_what_is_kept_and_is_130(self, capsys):
        def interrupted():
            raise KeyboardInterrupt

        with pytest.raises(SystemExit) as exit_:
            run_tool(interrupted, 'Replies are kept.')
        assert exit_.value.code == 130
        assert capsys.readouterr() == ('', '\nstopped. Replies are kept.\n')

    def test_bug_keeps_its_traceback(self):
        with pytest.raises(ZeroDivisionError):
            run_tool(lambda: 1 / 0)

    def test_configs_can_be_inherited(self):
        run_tool(lambda: None)
        assert Path(os.environ['LMMREG_CONFIGS'], 'lmmreg_bar.py').is_file()


BUILT = [name for name in main.COMMANDS if find_spec(f'mmpretrain_lmmreg.cli.{name}')]
HEAVY = {'torch', 'torchvision', 'mmengine', 'mmpretrain', 'transformers', 'open_clip'}


def imported_by(command: list, cwd: Path) -> tuple[subprocess.CompletedProcess, set[str]]:
    """What a command prints, and which packages it imports: times tell little here."""
    done = run([sys.executable, '-X', 'importtime', *command], cwd)
    lines = [line for line in done.stderr.splitlines() if line.startswith('import time:')]
    return done, {line.rpartition('|')[2].strip().partition('.')[0] for line in lines}


class TestMain:
    def test_each_command_is_built(self):
        assert set(main.COMMANDS) - set(BUILT) <= {'configs', 'fit'}

    def test_the_tools_are_one_stub(self):
        stubs = {path.read_text() for path in TOOLS.glob('*.py') if 'build_lite0' not in path.name}
        assert len(stubs) == 1
        names = {path.stem.partition('_')[0] for path in TOOLS.glob('*.py')} - {'build'}
        assert names == set(BUILT) - {'fit'}

    @pytest.mark.parametrize('arguments', [[], ['--help']])
    def test_help_lists_the_commands(self, monkeypatch, capsys, arguments):
        monkeypatch.setattr(sys, 'argv', ['mmpretrain-lmmreg', *arguments])
        main.main()
        out = capsys.readouterr().out
        assert all(f'  {name} ' in out for name in main.COMMANDS)

    def test_a_mistyped_command_is_named(self, monkeypatch, capsys):
        for given, told in (('trian', '; did you mean train?'), ('xyz', '.')):
            monkeypatch.setattr(sys, 'argv', ['mmpretrain-lmmreg', given])
            with pytest.raises(SystemExit, match='2'):
                main.main()
            assert f"no command '{given}'{told} See" in capsys.readouterr().err

    def test_fewer_workers_than_none_are_refused_by_the_parser(self, capsys):
        with pytest.raises(SystemExit, match='2'):
            prepare.parser().parse_args(['era', 'a', 'b', '--workers', '-1'])
        assert 'at least 0' in capsys.readouterr().err

    def test_the_folder_of_configs(self, tmp_path):
        printed = ran([sys.executable, '-m', 'mmpretrain_lmmreg', 'configs'], tmp_path)
        assert Path(printed.strip(), 'lmmreg_demo.py').is_file()

    @pytest.mark.parametrize('name', BUILT)
    def test_help_imports_nothing_heavy(self, name, tmp_path):
        done, imported = imported_by(['-m', 'mmpretrain_lmmreg', name, '--help'], tmp_path)
        assert done.returncode == 0 and 'mmpretrain_lmmreg' in imported
        assert not imported & HEAVY
        assert f'usage: python -m mmpretrain_lmmreg {name} ' in done.stdout

    def test_a_wrong_option_is_as_quick(self, tmp_path):
        done, imported = imported_by([TOOLS / 'predict.py', '--tpok'], tmp_path)
        assert done.returncode == 2 and 'error: ' in done.stderr
        assert not imported & HEAVY

    def test_prepare_has_aliases(self, tmp_path):
        printed = ran([sys.executable, TOOLS / 'prepare_bar.py', '--help'], tmp_path)
        assert printed.startswith('usage: prepare_bar.py bar ') and '--replies' in printed

    @pytest.mark.parametrize('name', ['train', 'test'])
    def test_options_are_mmpretrains_own(self, name, monkeypatch):
        def parser_of(parse) -> dict[str, tuple]:
            parsers = []
            monkeypatch.setattr(
                argparse.ArgumentParser, 'parse_args', lambda self: parsers.append(self)
            )
            with contextlib.suppress(AttributeError):  # theirs goes on with what it has parsed
                parse()
            taken = ('nargs', 'const', 'default', 'choices', 'type')
            actions = {a.dest: a for a in parsers[0]._actions}
            return {
                dest: (a.option_strings, *(getattr(a, key) for key in taken))
                for dest, a in actions.items()
            }

        theirs = parser_of(upstream.upstream_tool(name).parse_args)
        ours = parser_of(lambda: upstream.PARSERS[name]().parse_args())
        assert ours.pop('on')
        for options in (ours, theirs):  # ours are read later, by mmengine's own action
            options['cfg_options'] = options['cfg_options'][:-1]
            options.update({k: (*v[:-1], None) for k, v in options.items() if v[-1] is str})
        assert ours == theirs

    def test_settings_are_read_as_mmengine_reads_them(self):
        given = ['a.b=1', 'c=x,2', 'd=[(1,2),z]', 'e=None']
        expected = {'a.b': 1, 'c': ['x', 2], 'd': [(1, 2), 'z'], 'e': None}
        assert upstream.settings_of(given) == expected
        with refused('config.bad_option'):
            upstream.settings_of(['a=[1,(2]'])
        with pytest.raises(SystemExit, match='2'):
            upstream.PARSERS['train']().parse_args(['x.py', '--cfg-options', 'a'])

    def test_ctrl_c_during_the_imports(self, tmp_path):
        """The package's import waits at a pipe, as a long import would."""
        os.mkfifo(tmp_path / 'here')
        (tmp_path / 'sitecustomize.py').write_text(
            'import sys\n'
            'class Waits:\n'
            '    def find_spec(self, name, path=None, target=None):\n'
            "        if name == 'torch':\n"
            '            try:\n'
            "                open('here', 'w').close()\n"
            '                import signal; signal.pause()\n'
            '            except KeyboardInterrupt:\n'
            '                pass  # as some libraries do\n'
            'sys.meta_path.insert(0, Waits())\n'
        )
        command = [sys.executable, TOOLS / 'train.py', 'x.py']
        environment = dict(os.environ, PYTHONPATH=str(tmp_path))
        process = subprocess.Popen(
            command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True
        )
        with open(tmp_path / 'here') as here:
            assert here.read() == ''
        process.send_signal(signal.SIGINT)
        assert process.communicate()[1] == '\nstopped before the command began.\n'
        assert process.returncode == 130

    def test_a_rank_ends_with_its_torchrun(self, tmp_path):
        """The rank waits in its imports; its pipe ends when it does."""
        os.mkfifo(tmp_path / 'alive')
        (tmp_path / 'rank.py').write_text(
            'import signal, sys\n'
            'from mmpretrain_lmmreg.cli import main\n'
            'class Command:\n'
            '    def parser():\n'
            "        alive = open('alive', 'w')\n"
            "        print('training', file=alive, flush=True)\n"
            '        signal.pause()\n'
            "sys.modules['mmpretrain_lmmreg.cli.train'] = Command\n"
            "main.run('train')\n"
        )
        command = [sys.executable, '-m', 'torch.distributed.run', '--nproc_per_node=1']
        command += [f'--master_port={free_port()}', 'rank.py']
        environment = dict(os.environ, PYTHONPATH=str(ROOT))
        torchrun = subprocess.Popen(command, cwd=tmp_path, env=environment)
        with open(tmp_path / 'alive') as alive:
            assert alive.readline() == 'training\n'
            torchrun.kill()
            torchrun.wait()
            assert alive.read() == ''


@pytest.mark.parametrize(
    ('changes', 'code', 'words'),
    [
        (dict(config='x.py'), 'missing', f'{ROOT}/configs'),
        (dict(config='e.pth', checkpoint='c.py'), 'swapped', 'config .* first'),
        (dict(checkpoint='lost.pth'), 'no_checkpoint', 'checkpoint: there is no file lost.pth'),
        (dict(resume='lost.pth'), 'no_checkpoint', 'resume: there is no file lost.pth'),
        (dict(out='a.json', out_item=None), 'bad_option', r'\.pkl only'),
        (dict(resume='auto'), None, None),
        (dict(resume='https://host/epoch_1.pth'), None, None),
        (dict(out='a.pkl', out_item='pred'), None, None),
        (dict(out='a.json', out_item='metrics'), None, None),
    ],
)
def test_file_arguments(changes, code, words):
    arguments = argparse.Namespace(**{'config': __file__, **changes})
    with refused(f'config.{code}', match=words) if code else contextlib.nullcontext():
        upstream._check_arguments(arguments)


@pytest.mark.parametrize(
    ('options', 'code'),
    [
        (['--cfg-options', 'optim_wraper.type=OptimWrapper'], 'wrong_setting'),
        (['--cfg-options', 'test_dataloader.dataset.data_root=nowhere'], 'inputs_missing'),
        (['--launcher', 'mpi'], 'launcher'),
        (['--resume', 'lost.pth'], 'no_checkpoint'),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(
    tmp_path, pictures, monkeypatch, options, code
):
    config = write_project(tmp_path, pictures)
    monkeypatch.setenv('LMMREG_CONFIGS', str(ROOT / 'configs'))
    work = ['--work-dir', str(tmp_path / 'work')]
    monkeypatch.setattr(sys, 'argv', ['train.py', str(config), *work, *options])
    with refused(f'config.{code}'):
        upstream.train()
    assert not (tmp_path / 'work').exists()


@pytest.mark.parametrize('option', [[], ['--auto-scale-lr']])
def test_a_config_without_model_and_data(tmp_path, monkeypatch, option):
    (path := tmp_path / 'x.py').write_text('a = 1')
    monkeypatch.setattr(sys, 'argv', ['train.py', str(path), *option])
    lacking = 'optim_wrapper' + ', auto_scale_lr' * len(option) + ':'
    with refused('config.incomplete', match=f'has no model, train_dataloader, .*{lacking}'):
        upstream.train()


@pytest.fixture
def no_accelerator(monkeypatch):
    monkeypatch.setattr(launchers, 'get_device', lambda: 'cpu')


class TestConfig:
    @pytest.mark.parametrize(
        ('training', 'cfg'),
        [
            (True, dict(optim_wrapper=dict(type='AmpOptimWrapper'))),
            (False, dict(test_cfg=dict(fp16=True))),
        ],
    )
    def test_amp_needs_an_accelerator(self, no_accelerator, monkeypatch, training, cfg):
        with refused('config.no_accelerator'):
            launchers.check_amp(Config(cfg), training)
        launchers.check_amp(Config(cfg), not training)
        monkeypatch.setattr(launchers, 'get_device', lambda: 'cuda')
        launchers.check_amp(Config(cfg), training)

    def test_launcher_without_its_variables(self):
        with refused(
            'config.launcher',
            match='RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR is not set.*dist_train',
        ):
            launchers.adapt_launcher(Config(dict(launcher='pytorch')))

    def test_slurm_ranks_reach_torch(self, no_accelerator, monkeypatch):
        for name, value in (('PROCID', '3'), ('NTASKS', '4'), ('LOCALID', '1')):
            monkeypatch.setenv(f'SLURM_{name}', value)
        monkeypatch.setenv('SLURM_NODELIST', 'node[7-8]')
        started = []
        monkeypatch.setattr(launchers.distributed, 'init_process_group', started.append)
        monkeypatch.setattr(
            launchers.subprocess,
            'check_output',
            lambda command, text: f'first-{command[-1]}\nsecond',
        )
        cfg = Config(dict(launcher='slurm'))
        launchers.adapt_launcher(cfg)
        assert [os.environ[name] for name in RANKS] == ['3', '4', '1', 'first-node[7-8]', '29500']
        assert started == ['gloo']
        assert cfg.model_wrapper_cfg.device_ids is None

    def test_mpi_needs_an_address(self, monkeypatch):
        for name in ('RANK', 'SIZE', 'LOCAL_RANK'):
            monkeypatch.setenv(f'OMPI_COMM_WORLD_{name}', '1')
        with refused('config.launcher', match='MASTER_ADDR'):
            launchers.adapt_launcher(Config(dict(launcher='mpi')))


def weights(work_dir: Path, epoch: int) -> dict[str, torch.Tensor]:
    file = work_dir / f'epoch_{epoch}.pth'
    return torch.load(file, map_location='cpu', weights_only=False)['state_dict']


def difference(got: torch.Tensor, expected: torch.Tensor) -> float:
    """Length of the difference, relative to what is expected."""
    return (got.double() - expected).norm() / expected.double().norm().clamp(min=1e-12)


@pytest.mark.slow
class TestRuns:
    def test_two_processes_equal_one(self, tmp_path, pictures):
        """24 samples divide by 2 ranks; the batch of 4 becomes 2 on each."""
        config = write_project(tmp_path, pictures)
        ran([sys.executable, TOOLS / 'train.py', config, '--work-dir', 'one'], tmp_path)
        half = ('--cfg-options', 'train_dataloader.batch_size=2')
        command = ['bash', TOOLS / 'dist_train.sh', config, 2, '--work-dir', 'two', *half]
        path = f'{Path(sys.executable).parent}:{os.environ["PATH"]}'
        ran(command, tmp_path, PATH=path, PORT=free_port())
        (log,) = (tmp_path / 'two').glob('*/*.log')
        assert 'Distributed launcher: pytorch' in log.read_text()
        expected, got = weights(tmp_path / 'one', 2), weights(tmp_path / 'two', 2)
        for name, tensor in expected.items():
            assert difference(got[name], tensor) <= 1e-5, name

        checkpoint = tmp_path / 'two' / 'epoch_2.pth'
        command = ['bash', TOOLS / 'dist_test.sh', config, checkpoint, 2, '--out', 'out.pkl']
        ran(command, tmp_path, PATH=path, PORT=free_port())
        assert (tmp_path / 'out.pkl').is_file()

    def test_two_processes_agree_on_the_means_of_an_odd_number(self, tmp_path, pictures):
        """With 23 samples one is trained on twice, but counts once in its class's mean."""
        config = write_project(tmp_path, pictures)
        odd = ['--cfg-options', 'train_dataloader.dataset.indices=23', 'train_cfg.max_epochs=1']
        ran([sys.executable, TOOLS / 'train.py', config, '--work-dir', 'one', *odd], tmp_path)
        path = f'{Path(sys.executable).parent}:{os.environ["PATH"]}'
        command = ['bash', TOOLS / 'dist_train.sh', config, 2, '--work-dir', 'two', *odd]
        ran(command, tmp_path, PATH=path, PORT=free_port())
        means = [weights(tmp_path / name, 1)['head.class_means'] for name in ('one', 'two')]
        assert means[0].any() and difference(*means) <= 1e-6

    def test_upstreams_own_tool_runs_our_config(self, tmp_path, pictures):
        config = write_project(tmp_path, pictures)
        theirs = upstream.upstream_tool('train').__file__
        command = [sys.executable, theirs, config]
        done = run(command, tmp_path, LMMREG_CONFIGS=str(ROOT / 'configs'), PYTHONPATH=str(ROOT))
        assert done.returncode == 0, done.stdout + done.stderr
        assert (tmp_path / 'work_dirs' / 'tiny' / 'epoch_2.pth').is_file()

    def test_upstreams_own_tool_puts_a_method_on_a_config_elsewhere(self, tmp_path, pictures):
        config = write_project(tmp_path, pictures)
        theirs, method = upstream.upstream_tool('train').__file__, method_file('l2_sp')
        command = [sys.executable, theirs, method]
        folder = tmp_path / 'Ann\'s "{back\\new}"\n'
        folder.mkdir()
        on = folder / 'tiny.py'
        on.write_text(config.read_text().replace('{{ fileDirname }}', str(tmp_path)))
        places = dict(LMMREG_CONFIGS=str(ROOT / 'configs'), LMMREG_ON=str(on))
        ran(command, tmp_path, PYTHONPATH=str(ROOT), **places)
        work = tmp_path / 'work_dirs' / 'l2_sp'
        assert weights(work, 2)['head.fc.weight'].shape == (3, 16)
        assert Config.fromfile(work / 'l2_sp.py').model.type == 'L2SPClassifier'

    @pytest.mark.parametrize('script', ['dist_train.sh', 'dist_test.sh', 'slurm_train.sh'])
    def test_scripts_say_how_they_are_called(self, tmp_path, script):
        done = run(['bash', TOOLS / script, 'config.py'], tmp_path)
        assert done.returncode == 2
        assert done.stderr.startswith(f'usage: bash {TOOLS / script} ')

    def test_slurm_script_passes_arguments_on(self, tmp_path):
        srun = tmp_path / 'srun'
        srun.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
        srun.chmod(0o755)
        command = ['bash', TOOLS / 'slurm_train.sh', 'gpu', 'job', 'a b.py', 'work', '--amp']
        path = f'{tmp_path}:{os.environ["PATH"]}'
        done = run(command, tmp_path, PATH=path, GPUS='4', SRUN_ARGS='--quiet -t 5')
        words = done.stdout.splitlines()
        assert words[:4] == ['--partition=gpu', '--job-name=job', '--gres=gpu:4', '--ntasks=4']
        assert words[7:10] == ['--quiet', '-t', '5']
        assert words[13:] == ['a b.py', '--work-dir=work', '--launcher=slurm', '--amp']
