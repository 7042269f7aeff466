"""The demo's data set on disk: pictures, what they show, and their descriptions."""

import hashlib
import io
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from random import Random

from mmengine.logging import print_log
from PIL import __version__ as pillow_version

from ..io.checksums import write_checksums
from ..io.files import cache_dir, digest, make_folder, save_atomic
from ..io.lock import locked
from ..progress import track
from .actions import CLASSES
from .backgrounds import BACKGROUNDS
from .describer import MODEL, PROMPT, describe
from .scenes import TIED, Scene, draw_scene, sample_scene

SEED = 'demo 1'
SHOTS = 2  # pictures of one group: same person and place, another moment
TRAIN_GROUPS, TIED_GROUPS = 30, 27  # a class; 90 % of train at the class's own place
TEST_GROUPS = 36  # a class; three at each of the twelve places


def scenes(seed: str = SEED) -> Iterator[tuple[str, str, Scene]]:
    """(image, group, scene) of every picture: 360 to train, 432 to test."""
    for action in CLASSES:
        rng = Random(f'{seed}/{action}')
        others = [place for place in BACKGROUNDS if place != TIED[action]]
        train = [TIED[action]] * TIED_GROUPS + rng.sample(others, TRAIN_GROUPS - TIED_GROUPS)
        test = list(BACKGROUNDS) * (TEST_GROUPS // len(BACKGROUNDS))
        for split, places in (('train', train), ('test', test)):
            for number, place in enumerate(places):
                group = f'{split}/{action}/{number:02d}'
                for shot in range(SHOTS):
                    scene = sample_scene(action, place, f'{seed}/{group}', shot)
                    yield f'{group}-{shot}.png', group, scene


def fingerprint() -> str:
    """Name of the data set: 16 hex digits over the code that draws and describes it."""
    files = sorted(Path(__file__).parent.glob('*.py'))
    return digest([pillow_version, *(file.read_text(encoding='utf-8') for file in files)])


def demo_folder(draw: int = 0) -> Path:
    """Folder of the data set in the cache, rendered first if it is not there.

    Another ``draw`` is another sample of people, poses and places, from the same distribution.

    A render takes a few seconds. It happens in a folder of another name, under a lock that
    other processes wait for, so that an interrupted one is done anew.
    """
    folder = cache_dir(f'demo-{fingerprint()}' + (f'-{draw}' if draw else ''))
    if folder.is_dir():
        return folder
    make_folder(folder.parent)
    with locked(folder.with_suffix('.lock'), instead=None):
        if not folder.is_dir():
            partial = folder.with_suffix('.partial')
            shutil.rmtree(partial, ignore_errors=True)
            make_folder(partial)
            print_log(f'drawing the demo data set into {folder}', logger='current')
            render_into(partial, f'demo {1 + draw}')
            os.replace(partial, folder)
    return folder


def render_into(folder: Path, seed: str = SEED) -> None:
    """Write ``train/``, ``test/``, ``scenes.jsonl`` and ``descriptions.jsonl``."""
    scene_lines, records, drawn = [], [], list(scenes(seed))
    for image, group, scene in track(drawn, 'drawing', len(drawn)):
        buffer = io.BytesIO()
        draw_scene(scene).save(buffer, 'PNG')
        path = folder / image
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(buffer.getvalue())
        scene_lines.append({'image': image, 'group': group, **asdict(scene)})
        sha256 = hashlib.sha256(buffer.getvalue()).hexdigest()
        records.append(_record(image, scene, sha256, seed))
    for name, lines in (('scenes.jsonl', scene_lines), ('descriptions.jsonl', records)):
        with save_atomic(folder / name) as file:
            file.writelines(json.dumps(line).encode() + b'\n' for line in lines)
    write_checksums([folder / 'scenes.jsonl'], folder)


def _record(image: str, scene: Scene, sha256: str, seed: str) -> dict:
    texts = [sentence.text for sentence in describe(scene, Random(f'{seed}/{image}/describe'))]
    return {
        'image': image,
        'prompt': PROMPT,
        'reply': '\n'.join(f'{i}. {text}' for i, text in enumerate(texts, 1)),
        'model': MODEL,
        'sha256': sha256,
        'descriptions': texts,
        'status': 'ok',
    }
