"""What lies around a scope: folders of which it has only a part, so that no model is judged by that part alone.

Owns which folders these are, what is listed of one, and which models the scope is a part of. Refuses to hold a folder
of more than FILES_A_FOLDER files.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice

from artifact_store.errors import S3Error
from artifact_store.history.layouts import LAYOUTS
from artifact_store.history.models import FILES_A_FOLDER, Candidate, Verdict, assess
from artifact_store.history.scope import Scope
from artifact_store.history.sets import Layout, ModelSet, shallow
from artifact_store.restore.models import enclosing, folder_of
from artifact_store.s3.operations import ListVersions, VersionPage
from artifact_store.s3.server import Server

FORBIDDEN = 403

AROUND = 3
"""How many folders around a prefix are looked at: a model's parts lie no deeper in any layout known."""

NAME_PAGES = 10
"""Most pages of names that are read of such a folder, to see whether it may hold a model at all."""

LARGE = f"it has more than {FILES_A_FOLDER:,} files, so what lies beside the part that was asked for is not known"
DENIED = "it may not be listed with this account, so what lies beside the part that was asked for is not known"


class Unknown(Exception):
    """A folder may hold a model that cannot be judged. layouts: names of those it looks like."""

    def __init__(self, folder: str, layouts: tuple[str, ...], why: str) -> None:
        super().__init__(why)
        self.folder, self.layouts, self.why = folder, layouts, why


def above(scope: Scope, *, cut: bool) -> Iterator[str]:
    """The folders above a scope, the innermost first. cut: above the folder that it cuts through, in which other keys
    lie beside those that it names."""
    root = scope.root
    if cut:
        folders = enclosing(folder_of(scope.prefix))
    else:
        # A raw prefix may name some of the folders in a folder.
        folders = enclosing(root) if root.startswith(scope.prefix) else chain([root], enclosing(root))
    return islice(folders, AROUND)


def around(s3: Server, bucket: str, folder: str) -> Candidate | None:
    """All of a folder, None where it holds no model. Raises Unknown, S3Error."""
    try:
        layouts = _layouts(s3, bucket, folder)
        found = Candidate(folder, layouts, {})
        for history in folder_scope(bucket, folder).histories(s3) if layouts else ():
            if history.key.endswith("/"):
                continue
            if len(found.histories) == FILES_A_FOLDER:
                raise Unknown(folder, tuple(layout.name for layout in layouts), LARGE)
            found.histories[history.key[len(folder) :]] = history
    except S3Error as error:
        # Who may write a folder may be kept from listing what is around it.
        if error.status != FORBIDDEN:
            raise
        raise Unknown(folder, (), DENIED) from error
    return found if layouts else None


def _layouts(s3: Server, bucket: str, folder: str) -> tuple[Layout, ...]:
    """Those that a folder may hold a model of, by the names that lie directly in it."""
    names: set[str] = set()
    ask = ListVersions(bucket, folder, "/")
    for _ in range(NAME_PAGES):
        page: VersionPage = s3.call(ask)
        names.update(page.common_prefixes, (entry.key for entry in page.entries))
        if not page.is_truncated:
            break
        ask = replace(ask, key_marker=page.next_key_marker, version_id_marker=page.next_version_id_marker)
    seen = shallow(folder, (name[len(folder) :] for name in sorted(names - {folder})))
    return tuple(layout for layout in LAYOUTS if layout.marks(seen))


def folder_scope(bucket: str, prefix: str) -> Scope:
    """A folder, "" for the whole bucket."""
    return Scope(bucket, prefix, raw=not prefix)


@dataclass(frozen=True, slots=True)
class Part:
    """A model around a scope, and how many of its files are of the scope: some, or all."""

    model: Verdict
    files: int

    @property
    def complete(self) -> bool:
        return self.files == self.of

    @property
    def of(self) -> int:
        """How many files the model has."""
        return len(set(self.model.found.paths))


def parts(
    s3: Server, scope: Scope, keys: Collection[str], instant: float, *, cut: bool, now: float
) -> tuple[list[Part], list[Unknown]]:
    """The models around a scope that these keys of it are of, and the folders that could not be judged. keys: what
    stood at the instant. cut: whether others lie in the folder of one. now: as for `assess`. Raises S3Error."""
    found: list[Part] = []
    unknown: list[Unknown] = []
    for folder in (*([folder_of(scope.prefix)] if cut else []), *above(scope, cut=cut)):
        try:
            candidate = around(s3, scope.bucket, folder)
        except Unknown as error:
            unknown.append(error)
            if not error.layouts:
                # Who may not list this folder may not list those above it.
                break
            continue
        if candidate is None:
            continue
        own = {key[len(folder) :] for key in keys}
        only = partial(_shares, own)
        for verdicts in s3.run([assess(scope.bucket, candidate, instant, now=now, only=only)]):
            found += [Part(verdict, len(own.intersection(verdict.found.paths))) for verdict in verdicts]
    return found, unknown


def _shares(own: set[str], found: ModelSet) -> bool:
    return not own.isdisjoint(found.paths)
