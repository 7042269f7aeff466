"""One training step of each method that learns from texts, at the paper's size."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TRAINED = dict(
    coop={'head.context': 16 * 768},
    cocoop={
        'head.context': 4 * 768,
        'head.meta_net.0.weight': 768 * 48,
        'head.meta_net.0.bias': 48,
        'head.meta_net.2.weight': 48 * 768,
        'head.meta_net.2.bias': 768,
    },
    labo={'head.association': 101 * 101 * 50},
    clip_a_self={
        'head.attention.query_key.weight': 768 * 384,
        'head.attention.value.weight': 768 * 192,
        'head.attention.out.weight': 768 * 192,
        'head.attention.out.bias': 768,
    },
)


@pytest.mark.slow
@pytest.mark.parametrize('method', TRAINED)
def test_one_training_step(method):
    """``pytest -s`` shows time and peak memory."""
    command = [sys.executable, str(Path(__file__).with_name('one_step.py')), method]
    environment = dict(os.environ, PYTHONPATH=str(ROOT))
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads(done.stdout.splitlines()[-1])
    print(result)
    assert result['trained'] == TRAINED[method]
    assert result['peak_gib'] < 8
