"""DVC remotes: a tree is whole when every object it names is there under its hash."""

import hashlib
import json

import pytest

from artifact_store.history.layouts import dvc
from artifact_store.history.layouts.dvc import LAYOUT
from artifact_store.history.sets import Folder, Missing, ModelSet
from tests.history.layouts.bucket import only, recognise, recognise_reading, version

CONTENT = {"a.bin": b"first", "sub/b.bin": b"second", "copy.bin": b"first", "empty.txt": b""}


def key(md5, suffix=""):
    return f"{md5[:2]}/{md5[2:]}{suffix}"


def md5(content):
    return hashlib.md5(content).hexdigest()


def pushed(content):
    """(path of the tree, the objects) as dvc push writes them."""
    tree = [{"md5": md5(data), "relpath": path} for path, data in sorted(content.items())]
    listing = json.dumps(tree, sort_keys=True).encode()
    path = key(md5(listing), ".dir")
    return path, {key(md5(data)): data for data in content.values()} | {path: listing}


TREE, OBJECTS = pushed(CONTENT)
FIRST, SECOND, EMPTY = key(md5(b"first")), key(md5(b"second")), "d4/1d8cd98f00b204e9800998ecf8427e"


@pytest.mark.parametrize("prefix", ["store/files/md5/", "store/", ""])
def test_a_tree_is_the_objects_it_names_each_once(prefix):
    sets, asked = recognise_reading(LAYOUT, OBJECTS | {key(md5(b"alone")): b"alone"}, prefix)
    assert sets == [
        ModelSet(
            layout="dvc",
            prefix=prefix,
            name=TREE.replace("/", "").removesuffix(".dir"),
            members=(FIRST, EMPTY, SECOND),
            indexes=(TREE,),
            may_be_empty=frozenset({EMPTY}),
        )
    ]
    assert asked == [TREE]


def test_an_object_that_is_gone_is_missing_and_the_tree_named_it():
    files = {path: data for path, data in OBJECTS.items() if path != SECOND}
    assert only(LAYOUT, files).missing == (Missing(SECOND, TREE),)


def test_trees_that_share_objects_are_told_apart_by_their_hash():
    other, objects = pushed({"x.bin": b"first"})
    sets = {found.name: found for found in recognise(LAYOUT, OBJECTS | objects)}
    assert {name: found.members for name, found in sets.items()} == {
        TREE.replace("/", "")[:32]: (FIRST, EMPTY, SECOND),
        other.replace("/", "")[:32]: (FIRST,),
    }


def with_etags(prefix, changed):
    """The remote with MD5s as ETags, but for the objects in `changed`."""
    files = {path: version(path, len(data), f'"{changed.get(path, md5(data))}"') for path, data in OBJECTS.items()}
    reading = LAYOUT.recognise(Folder(prefix, files))
    assert next(reading) == TREE
    with pytest.raises(StopIteration) as end:
        reading.send(OBJECTS[TREE])
    (found,) = end.value.value
    return found


def test_content_that_is_not_what_its_name_says_is_a_problem():
    found = with_etags("files/md5/", {FIRST: md5(b"firsT")})
    assert found.problems == (f"content is not what its name says: {FIRST}",)
    assert with_etags("files/md5/", {}).problems == ()


def test_in_version_2_text_hashes_to_another_name_so_it_is_a_warning():
    found = with_etags("store/", {FIRST: md5(b"firsT")})
    assert found.problems == ()
    assert found.warnings == (f"content is not what its name says, unless it is text with CRLF: {FIRST}",)


def test_etags_that_are_no_md5s_prove_nothing():
    multipart = {FIRST: f"{md5(b'x')}-2"}
    assert with_etags("files/md5/", multipart).problems == ()
    kms = dict.fromkeys(OBJECTS, md5(b"salt"))
    assert with_etags("files/md5/", kms).problems == ()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is no JSON: Expecting value: line 1 column 1 (char 0)"),
        (b"{}", "holds no JSON list but an object"),
        (b"[1]", "names a file without an MD5 of 32 hexadecimal digits"),
        (b'[{"relpath": "a"}]', "names a file without an MD5 of 32 hexadecimal digits"),
        (b'[{"md5": 7, "relpath": "a"}]', "names a file without an MD5 of 32 hexadecimal digits"),
        (b'[{"md5": "../../../../../../../../etc/pass"}]', "names a file without an MD5 of 32 hexadecimal digits"),
        (b"[" * 100_000, "is no JSON: nested too deeply"),
        (b"[" + b"{}," * 250_001 + b"{}]", "holds more than 250,000 objects and lists"),
    ],
)
def test_a_tree_that_cannot_be_used_is_a_problem(content, problem):
    found = only(LAYOUT, OBJECTS | {TREE: content})
    assert found.problems == (f"{TREE} {problem}",)
    assert (found.members, found.missing) == ((), ())


def test_a_tree_that_lost_thousands_of_objects_names_the_first():
    tree = [{"md5": f"{n:032x}", "relpath": str(n)} for n in range(3_000)]
    found = only(LAYOUT, OBJECTS | {TREE: json.dumps(tree).encode()})
    assert len(found.missing) == 1_000
    assert found.problems == (f"2,000 more files are missing, the first of them {key(f'{1_000:032x}')}",)


def test_no_more_trees_are_read_than_the_limit(monkeypatch):
    monkeypatch.setattr(dvc, "MOST_TREES", 1)
    later = "ff/" + "f" * 30 + ".dir"
    sets, asked = recognise_reading(LAYOUT, OBJECTS | {later: b"[]"})
    assert asked == [TREE]
    assert sets[1].warnings == (f"1 more .dir trees are not read: {later}",)


def test_what_lies_beside_the_objects_changes_nothing():
    beside = {"files/md5/ab/cd": b"", "runs/ab/cd/1": b"", "config": b"", "ab/": b"", "models/m/readme.md": b""}
    assert only(LAYOUT, OBJECTS | beside).members == (FIRST, EMPTY, SECOND)


@pytest.mark.parametrize(
    "files",
    [
        {"ab/" + "c" * 38: b""},
        {"ab/" + "c" * 30: b""},
        {"files/x": b""},
        {"AB/" + "C" * 30 + ".dir": b"[]"},
    ],
)
def test_other_folders_hold_no_tree(files):
    assert recognise(LAYOUT, files) == []
