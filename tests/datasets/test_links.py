"""Links below the data root that lead out of it are named."""

from mmpretrain_lmmreg.datasets.samples import leads_out, same_files


def test_links_out_of_the_data_root(tmp_path):
    for folder in ('real/a', 'elsewhere'):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / 'x.png').touch()
    (tmp_path / 'data').symlink_to('real')
    (tmp_path / 'real' / 'inside.png').symlink_to('a/x.png')
    (tmp_path / 'real' / 'out.png').symlink_to(tmp_path / 'elsewhere' / 'x.png')
    (tmp_path / 'real' / 'b').symlink_to(tmp_path / 'elsewhere')
    root = str(tmp_path / 'data')
    names = ('a/x.png', 'inside.png', 'out.png', 'b/x.png')
    infos = [dict(img_path=f'{root}/{name}', data_root=root) for name in names]
    target = str(tmp_path / 'elsewhere' / 'x.png')
    assert leads_out(infos) == [(f'{root}/out.png', target), (f'{root}/b/x.png', target)]
    assert leads_out([dict(img_path=f'{root}/out.png')]) == []


def test_one_picture_under_two_names(tmp_path):
    for name, content in (('a', b'x1'), ('b', b'x2'), ('copy', b'x1'), ('e', b''), ('f', b'')):
        (tmp_path / name).write_bytes(content)
    (tmp_path / 'link').hardlink_to(tmp_path / 'b')
    a, b, copy, link, e, f = (str(tmp_path / n) for n in ('a', 'b', 'copy', 'link', 'e', 'f'))
    assert same_files([a, b, e], [copy, link, f, str(tmp_path / 'gone')]) == [(a, copy), (b, link)]
    assert same_files([a], [b]) == []
