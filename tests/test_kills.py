"""A short part of the campaign of random kills."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_killed_training_and_merging_end_as_undisturbed(tmp_path):
    script = Path(__file__).resolve().parents[1] / 'dev' / 'kill_campaign.py'
    subprocess.run(
        [sys.executable, script, 'training', 'merge', '--kills', '3'],
        env=dict(os.environ, CAMPAIGN_DIR=str(tmp_path)),
        check=True,
    )
