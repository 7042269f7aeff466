"""From videos, encoded here with a real codec, to frames; and BAR's check."""

import json
import runpy
import shutil
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from refused import refused

from mmpretrain_lmmreg.datasets import BAR, ERA, UCF101, bar, ucf101
from mmpretrain_lmmreg.datasets.bar import prepare_bar
from mmpretrain_lmmreg.datasets.era import prepare_era
from mmpretrain_lmmreg.datasets.prepare import frame_position, read_frame, run
from mmpretrain_lmmreg.datasets.ucf101 import prepare_ucf101
from mmpretrain_lmmreg.errors import MissingInputError

FRAMES = 21


def encode(path, codec='mpeg4', size=(64, 48), frames=FRAMES):
    """A video whose frame i has grey level 10 * i, and a little noise."""
    noise = np.random.default_rng(0)
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), 'w') as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = *size, 'yuv420p'
        for index in range(frames):
            picture = 10 * index + noise.integers(0, 40, (size[1], size[0], 3), dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format='rgb24')))
        container.mux(stream.encode())
    return path


def grey(image):
    return float(np.asarray(image.convert('L'), dtype=float).mean())


@pytest.mark.parametrize('name, codec', [('v.avi', 'mpeg4'), ('v.mp4', 'h264'), ('w.mp4', 'mpeg4')])
def test_frame_by_position(tmp_path, name, codec):
    video = encode(tmp_path / name, codec)
    for position, index in [('middle', 10), ('first', 0), ('0.96', 20), ('0.25', 5)]:
        image = read_frame(video, frame_position(position))
        assert image.size == (64, 48)
        assert abs(grey(image) - 10 * index - 20) < 4, position


@pytest.mark.parametrize('text', ['last', '1', '-0.1', 'nan'])
def test_frame_position_refused(text):
    with refused('config.unknown_value'):
        frame_position(text)


def test_broken_videos_say_why(tmp_path):
    avi = encode(tmp_path / 'v.avi').read_bytes()
    (tmp_path / 'cut.avi').write_bytes(avi[: len(avi) * 6 // 10])
    with refused('data.damaged_video', match=rf'ends after \d+ of {FRAMES} frames'):
        read_frame(tmp_path / 'cut.avi')
    mp4 = encode(tmp_path / 'v.mp4', 'h264').read_bytes()
    (tmp_path / 'cut.mp4').write_bytes(mp4[: len(mp4) // 2])
    for name, content in [('cut.mp4', None), ('empty.mp4', b''), ('text.mp4', b'hello' * 99)]:
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with refused('data.damaged_video'):
            read_frame(tmp_path / name)


UCF_VIDEOS = {
    'train': ['Archery_g08_c01', 'HandStandPushups_g08_c01', 'YoYo_g09_c02'],
    'test': ['Archery_g01_c01', 'YoYo_g01_c01'],
}


@pytest.fixture
def ucf_source(tmp_path):
    """Six videos as released, two of them not listed or listed but missing; lists in CRLF."""
    source = tmp_path / 'source'
    lines = {}
    for part, stems in UCF_VIDEOS.items():
        lines[part] = ''.join(f'{s.split("_")[0]}/v_{s}.avi 1\r\n' for s in stems)
        for stem in stems:
            folder = stem.split('_')[0].replace('HandStand', 'Handstand')
            encode(source / 'UCF-101' / folder / f'v_{stem}.avi')
        lists = source / 'ucfTrainTestlist'
        lists.mkdir(exist_ok=True)
        (lists / f'{part}list01.txt').write_text(lines[part], newline='')
    encode(source / 'UCF-101' / 'Archery' / 'v_Archery_g25_c09.avi')
    return source


@pytest.fixture
def few(monkeypatch):
    """As if the small sources here were the whole data sets."""
    monkeypatch.setattr(UCF101, 'COUNTS', {'trainval': 3, 'test': 2})
    monkeypatch.setattr(ERA, 'COUNTS', {'trainval': 2, 'test': 1})


def test_ucf_by_official_lists(ucf_source, tmp_path, few):
    root = tmp_path / 'out'
    assert prepare_ucf101(ucf_source, root, workers=2) == []
    train = UCF101(str(root))
    assert [train.get_data_info(i)['rel_path'] for i in range(3)] == [
        'frames/Archery/v_Archery_g08_c01.jpg',
        'frames/HandstandPushups/v_HandStandPushups_g08_c01.jpg',
        'frames/YoYo/v_YoYo_g09_c02.jpg',
    ]
    assert train.get_gt_labels().tolist() == [2, 36, 100]
    with Image.open(train.get_data_info(0)['img_path']) as image:
        assert image.format == 'JPEG' and abs(grey(image) - 120) < 4
    assert len(UCF101(str(root), split='test')) == 2
    assert (root / 'classInd.txt').read_text().splitlines()[36] == '37 HandstandPushups'
    assert len(list(root.rglob('*.jpg'))) == 5  # the video that no list has is left out
    assert not list(root.rglob('.*'))  # nor is a temporary file left


def test_ucf_by_coops_list(ucf_source, tmp_path, few):
    root = tmp_path / 'out'
    shutil.rmtree(ucf_source / 'ucfTrainTestlist')
    coop = tmp_path / 'lists' / 'split_zhou_UCF101.json'
    coop.parent.mkdir()
    entries = [[f'Any_Case/v_{s}.jpg', 0, 'Any_Case'] for s in UCF_VIDEOS['train']]
    test = [[f'Any_Case/v_{s}.jpg', 0, 'Any_Case'] for s in UCF_VIDEOS['test']]
    coop.write_text(json.dumps({'train': entries[1:], 'val': entries[:1], 'test': test}))
    with refused('data.missing_source', match='split_zhou_UCF101.json'):
        prepare_ucf101(ucf_source, root)
    assert prepare_ucf101(ucf_source, root, lists=coop) == []
    assert UCF101(str(root)).get_gt_labels().tolist() == [2, 36, 100]
    assert UCF101(str(root), split='val', lists='coop').get_gt_labels().tolist() == [2]


def test_lists_derived_from_coops_are_the_official_ones(shared, tmp_path):
    lists = shared / 'data' / 'ucf101'
    samples, _ = ucf101._read_ucf_lists([str(lists / 'split_zhou_UCF101.json')])
    ucf101._write_ucf_lists(tmp_path, samples, None)
    for name in ('trainlist01.txt', 'testlist01.txt'):
        ours = (tmp_path / name).read_text().lower().split()
        official = (lists / name).read_text().lower().split()
        videos = {word for word in official if word.endswith('.avi')}
        assert len(ours) == 2 * len(videos) and set(ours[::2]) == videos


def test_ucf_goes_on_after_broken_and_missing_videos(ucf_source, tmp_path, capsys):
    root = tmp_path / 'out'
    broken = ucf_source / 'UCF-101' / 'Archery' / 'v_Archery_g08_c01.avi'
    whole = broken.read_bytes()
    broken.write_bytes(whole[: len(whole) * 8 // 10])
    (ucf_source / 'UCF-101' / 'YoYo' / 'v_YoYo_g01_c01.avi').rename(tmp_path / 'away.avi')
    arguments = dict(source=str(ucf_source), data_root=str(root))
    assert run(prepare_ucf101, **arguments) == 1
    out, err = capsys.readouterr()
    lines = err.strip().splitlines()
    assert lines[0].startswith(f'{broken}: ends after ')
    assert lines[1] == f'1 listed videos are not below {ucf_source}: v_YoYo_g01_c01.avi'
    assert lines[2] == 'train: 3 videos, 9,537 are published'
    assert f'{root}: 4 problems, see above' in out
    assert len(list(root.rglob('*.jpg'))) == 3

    done = root / 'frames' / 'YoYo' / 'v_YoYo_g09_c02.jpg'
    before = done.stat().st_mtime_ns
    broken.write_bytes(whole)
    (tmp_path / 'away.avi').rename(ucf_source / 'UCF-101' / 'YoYo' / 'v_YoYo_g01_c01.avi')
    assert len(prepare_ucf101(**arguments)) == 2  # the counts
    assert len(list(root.rglob('*.jpg'))) == 5
    assert done.stat().st_mtime_ns == before  # skipped


def test_frames_of_two_positions_are_not_mixed(ucf_source, tmp_path):
    prepare_ucf101(ucf_source, tmp_path / 'out')
    with refused('data.other_frames'):
        prepare_ucf101(ucf_source, tmp_path / 'out', frame='first')


def test_ucf_without_videos_or_source(ucf_source, tmp_path):
    with refused('data.missing_source', MissingInputError, match='nowhere'):
        prepare_ucf101(tmp_path / 'nowhere', tmp_path / 'out')
    shutil.rmtree(ucf_source / 'UCF-101')
    with refused('data.missing_source', match='avi'):
        prepare_ucf101(ucf_source, tmp_path / 'out')


def test_era(tmp_path, few):
    source, root = tmp_path / 'source', tmp_path / 'era'
    encode(source / 'Train' / 'ParadeProtest' / 'a b.mp4', 'h264')
    encode(source / 'Train' / 'NonEvent' / 'x.MP4', 'h264')
    encode(source / 'Test' / 'Post-earthquake' / 'y.mp4', 'h264')
    assert prepare_era(source, root) == []
    assert prepare_era(source, root) == []
    train, test = ERA(str(root)), ERA(str(root), split='test')
    assert [train.get_data_info(i)['rel_path'] for i in range(2)] == [
        'train/parade_protest/a b.jpg',
        'train/non_event/x.jpg',
    ]
    assert test.get_gt_labels().tolist() == [0]
    with Image.open(test.get_data_info(0)['img_path']) as image:
        assert abs(grey(image) - 120) < 4


def test_era_mistakes(tmp_path):
    (tmp_path / 'Train').mkdir()
    with refused('data.missing_source', match='Test'):
        prepare_era(str(tmp_path), tmp_path / 'out')
    (tmp_path / 'Test').mkdir()
    with refused('data.missing_source', match='mp4'):
        prepare_era(tmp_path, tmp_path / 'out')
    encode(tmp_path / 'Train' / 'Fire' / 'a.mp4', 'h264')
    (tmp_path / 'Test' / 'Fire').mkdir()
    (tmp_path / 'Test' / 'Fire' / 'b.mp4').write_bytes(b'no video')
    problems = prepare_era(tmp_path, tmp_path / 'out')
    assert [p.partition(':')[0] for p in problems] == [
        f'{tmp_path}/Test/Fire/b.mp4',
        'train',
        'test',
    ]
    assert problems[1] == 'train: 1 videos, 1,473 are published'


@pytest.fixture
def bar_source(tmp_path, monkeypatch):
    counts = {'train': (0, 1, 0, 1, 0, 0), 'test': (0, 1, 0, 0, 0, 0)}
    monkeypatch.setattr(bar, 'BAR_COUNTS', counts)
    source = tmp_path / 'source'
    for folder in ('train', 'test'):
        (source / folder).mkdir(parents=True)
    Image.new('RGB', (9, 9)).save(source / 'train' / 'diving_1.jpg')
    Image.new('P', (9, 9)).save(source / 'train' / 'pole vaulting_2.jpg', 'PNG')
    Image.new('RGB', (9, 9)).save(source / 'test' / 'diving_3.jpg')
    return source


def test_bar_is_copied_or_left_where_it_is(bar_source, tmp_path):
    root = tmp_path / 'bar'
    assert prepare_bar(bar_source, root) == [] and prepare_bar(bar_source, bar_source) == []
    dataset = BAR(str(root))
    assert dataset.get_data_info(1)['rel_path'] == 'train/pole vaulting_2.jpg'
    assert Path(dataset.get_data_info(1)['img_path']).read_bytes()[1:4] == b'PNG'


def test_bar_problems_are_listed(bar_source, tmp_path):
    (bar_source / 'train' / 'diving_4.jpg').write_bytes(b'no image')
    problems = prepare_bar(bar_source, tmp_path / 'bar')
    assert problems[0] == 'train: 2 images of diving, 1 are published'
    assert problems[1].startswith(f'{tmp_path}/bar/train/diving_4.jpg: not an image')
    assert len(problems) == 2
    with refused('data.missing_source', match='train or test'):
        prepare_bar(str(tmp_path / 'nowhere'), tmp_path / 'bar')


def test_bar_replies_never_replace_descriptions(bar_source, tmp_path, monkeypatch):
    shipped = dict(image='train/a.jpg', prompt='p', reply='1. One thing.\n2. Another thing.')
    (tmp_path / 'shipped.jsonl').write_text(json.dumps(shipped))
    monkeypatch.setattr(bar, 'BAR_REPLIES', tmp_path / 'shipped.jsonl')
    root = tmp_path / 'bar'
    prepare_bar(bar_source, root)
    assert not (root / 'descriptions.jsonl').exists()
    prepare_bar(bar_source, root, replies=True)
    written = json.loads((root / 'descriptions.jsonl').read_text())
    assert shipped.items() < written.items()
    assert written['descriptions'] == ['One thing.', 'Another thing.']  # no run parses them again
    (root / 'descriptions.jsonl').write_text('own')
    prepare_bar(bar_source, root, replies=True)
    assert (root / 'descriptions.jsonl').read_text() == 'own'


@pytest.mark.slow
def test_real_bar_has_no_problem(shared):
    root = shared / 'data' / 'bar'
    assert prepare_bar(root, root) == []


@pytest.mark.parametrize('name', ['ucf101', 'era', 'bar'])
def test_command_reports_without_traceback(tmp_path, name, monkeypatch, capsys):
    tool = Path(__file__).parents[2] / 'tools' / f'prepare_{name}.py'
    nowhere, out = str(tmp_path / 'nowhere'), str(tmp_path / 'out')
    monkeypatch.setattr(sys, 'argv', [str(tool), nowhere, out])
    with pytest.raises(SystemExit) as stopped:
        runpy.run_path(str(tool), run_name='__main__')
    assert stopped.value.code == 2
    assert capsys.readouterr().err.startswith('error: no folder ')
    assert not Path(out).exists()
