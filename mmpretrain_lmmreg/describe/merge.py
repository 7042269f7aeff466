"""Put descriptions files together, and read kept replies with a newer parser."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from ..descriptions.lines import Record, encode, scan
from ..descriptions.parse import STATUSES, ParsedReply, parse_reply
from ..descriptions.store import DescriptionStore, DescriptionWriter, complete
from ..errors import InputError
from ..io.files import digest, save_atomic

_ORIGIN = ('sha256', 'model', 'settings')
_NO_REPLY = STATUSES.index('empty')
_BATCH = 1 << 19  # bytes of one write: fewer than a crash may leave unfinished
_SHOWN = 5  # conflicts that an error lists


class _Entry(NamedTuple):
    file: int
    rank: int
    reply: str
    origin: tuple[str | None, ...]

    def contradicts(self, other: '_Entry') -> bool:
        """Both are replies, and of different origin, or different and equally good."""
        if max(self.rank, other.rank) >= _NO_REPLY:
            return False
        pairs = zip(self.origin, other.origin, strict=True)
        return any(a and b and a != b for a, b in pairs) or (
            self.rank == other.rank and self.reply != other.reply
        )


def merge(
    files: Iterable[str | Path], out: str | Path, reparse: bool = False, expected: int = 10
) -> int:
    """Add to ``out`` what other files know better; return the number of records added.

    Args:
        files: Descriptions files, such as those of shards.
        out: Made whole or not at all where it is new, else appended to.
        reparse: Read every reply anew, ``expected`` descriptions each.

    Raises:
        InputError: The files contradict each other; nothing is written then.
    """
    out = Path(out)
    others = [Path(file) for file in files if Path(file).resolve() != out.resolve()]
    stores = [DescriptionStore(file) for file in ([out, *others] if out.exists() else others)]
    first = len(stores) - len(others)

    def records(number: int) -> Iterator[Record]:
        return (reparsed(r, expected) if reparse else r for r in stores[number])

    best = _best_entries([records(number) for number in range(len(stores))], stores)
    new = (
        record
        for number in range(first, len(stores))
        for record in records(number)
        if best[record['image'], record['prompt']].file == number
    )
    count = 0
    if first:
        with DescriptionWriter(out) as writer:
            return append_many(writer, new)
    with save_atomic(out) as file:
        for count, record in enumerate(new, 1):  # noqa: B007  used below
            file.write(encode(record))
    return count


def append_many(writer: DescriptionWriter, records: Iterable[Record]) -> int:
    """Append records, many with one sync; return their number."""
    batch: list[Record] = []
    count = size = 0
    for count, record in enumerate(records, 1):  # noqa: B007  used below
        length = len(encode(record))
        if batch and size + length > _BATCH:
            writer.append(*batch)
            batch, size = [], 0
        batch.append(record)
        size += length
    if batch:
        writer.append(*batch)
    return count


def _best_entries(
    files: list[Iterator[Record]], stores: list[DescriptionStore]
) -> dict[tuple[str, str], _Entry]:
    """The best of each key over all files; raises InputError where files contradict each other."""
    best: dict[tuple[str, str], _Entry] = {}
    conflicts: list[str] = []
    for number, records in enumerate(files):
        for record in records:
            key = record['image'], record['prompt']
            origin = tuple(record.get(field) for field in _ORIGIN)
            rank = STATUSES.index(record['status'])
            entry = _Entry(number, rank, digest(record['reply']), origin)
            old = best.get(key)
            if old and entry.contradicts(old):
                conflicts.append(f'{key[0]} in {stores[old.file].path} and {stores[number].path}')
            if old is None or entry.rank < old.rank:
                best[key] = entry
    if conflicts:
        raise InputError(
            f'{len(conflicts)} images were described twice, and differently; keep the lines of '
            'one file each, then merge again:\n  ' + '\n  '.join(conflicts[:_SHOWN]),
            code='describe.conflict',
        )
    return best


def judge(reply: str, finish: str = '', expected: int = 10) -> ParsedReply:
    """Descriptions and status of a reply.

    A reply that a token limit has cut loses its last item, which may look whole; one that the
    server calls a refusal has no descriptions, whatever it says.

    Args:
        reply: The LMM's words, whole.
        finish: ``'truncated'``, ``'refused'``, or empty where the server says neither.
        expected: Number of descriptions asked for.

    Example:
        >>> judge('1. A cat.\\n2. A do', 'truncated', expected=2)
        ParsedReply(descriptions=['A cat.'], status='truncated')
    """
    if finish == 'refused':
        return ParsedReply([], 'refused')
    parsed = parse_reply(reply, expected)
    if finish != 'truncated' or parsed.status == 'refused':
        return parsed
    items = parsed.descriptions
    seen = parsed.status == 'truncated' or (parsed.status == 'long' and len(items) == expected)
    items = items if seen else items[:-1]
    return ParsedReply(items, 'long' if len(items) >= expected else 'truncated')


def reparsed(record: Record, expected: int = 10) -> Record:
    """The record with its reply read anew; one without a reply stays as it is."""
    if record['status'] == 'error':
        return record
    parsed = judge(record['reply'], record.get('finish', ''), expected)
    return {**record, 'descriptions': parsed.descriptions, 'status': parsed.status}


def reparse(path: str | Path, expected: int = 10) -> tuple[int, int]:
    """Append each record that now reads otherwise and better, or the same reply as well.

    Returns:
        Records added, and replies that now read as worse: those cannot lose to what the file
        says already, but do in a new file (:func:`merge` with ``reparse``).
    """
    path, worse = Path(path), Counter[str]()
    with DescriptionWriter(path) as writer:
        added = append_many(writer, _read_better(path, expected, worse))
    return added, worse.total()


def _read_better(path: Path, expected: int, worse: Counter[str]) -> Iterator[Record]:
    """Records that read better now; those that read worse are counted.

    The file may grow meanwhile: what is added to it is not looked at.
    """
    store = DescriptionStore(path)
    for _, line in scan(path):
        old = complete(line)
        new = reparsed(old, expected)
        if (new['descriptions'], new['status']) == (old['descriptions'], old['status']):
            continue
        winner = store.record(old['image'], old['prompt']) or old
        rank, best = (STATUSES.index(r['status']) for r in (new, winner))
        if (new['descriptions'], new['reply']) == (winner['descriptions'], winner['reply']):
            continue  # an older line of what has been read anew already
        if rank < best or (rank == best and new['reply'] == winner['reply']):
            yield new
        elif winner['reply'] == old['reply'] and rank > best:
            worse[new['status']] += 1
