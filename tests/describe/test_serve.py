"""The openai describer against a real server: ``transformers serve`` with a tiny LLaVA."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from describing import describe
from tiny_models import make_llava

from mmpretrain_lmmreg.describe.describers import build_describer
from mmpretrain_lmmreg.descriptions import DescriptionStore

pytestmark = pytest.mark.slow

REPAIR = """
import sys, torch
try:
    import torchvision
except RuntimeError:  # the server imports it by itself, and meets the same missing operators
    library = torch.library.Library('torchvision', 'FRAGMENT')
    for name in ('nms', 'qnms'):
        library.define(f'{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')
    for name in [m for m in sys.modules if m.partition('.')[0] == 'torchvision']:
        del sys.modules[name]
"""


@pytest.fixture(scope='module')
def server(tmp_path_factory):
    """Address of the server, and the folder of its model."""
    pytest.importorskip('uvicorn', reason="needs pip install 'transformers[serving]'")
    root = tmp_path_factory.mktemp('serve')
    folder = make_llava(root / 'llava')
    (root / 'sitecustomize.py').write_text(REPAIR)
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    script = Path(sys.executable).with_name('transformers')
    with open(root / 'log', 'wb') as log:
        process = subprocess.Popen(
            [str(script), 'serve', '--host', '127.0.0.1', '--port', str(port)],
            env={**os.environ, 'PYTHONPATH': str(root), 'HF_HUB_OFFLINE': '1'},
            stdout=log,
            stderr=log,
        )
    url = f'http://127.0.0.1:{port}'
    try:
        for _ in range(240):
            if process.poll() is not None:
                pytest.fail((root / 'log').read_text()[-3000:])
            try:
                urllib.request.urlopen(f'{url}/health', timeout=1)
                break
            except OSError:
                time.sleep(0.5)
        yield type('Server', (), {'url': f'{url}/v1', 'folder': folder})
    finally:
        process.terminate()
        process.wait()


@pytest.mark.parametrize('stream', [False, True])
def test_real_server(server, endpoint, tasks, tmp_path, stream):
    endpoint(server)
    options = {'max_new_tokens': 16, 'temperature': 0, 'stream': stream, 'timeout': 120}
    describer = build_describer(
        'openai', options, model=str(server.folder), concurrency=2, retries=1
    )
    tally = describe(tmp_path / 'd.jsonl', tasks[:3], describer)
    records = list(DescriptionStore(tmp_path / 'd.jsonl'))
    assert (tally.asked, tally.statuses['error']) == (3, 0), records
    assert len({record['reply'] for record in records}) > 1
