"""Checks the corpus: the same seed gives the same documents, no slot is left open, nothing held out leaks."""

import hashlib
import itertools
import re

import corpus
from corpus import arithmetic

FIRST_DOCUMENTS = {  # (seed, part): sha256 of the first 2000 documents that the model in examples/ was trained on
    (100, 1): "523328c95803d7e8e8aef11409ed630c09656e510164ea188afab2446c23a4d7",
    (101, 2): "8682dc58d67c738b15a2f742464607687390f3ec176fc118ec3a6a00d01a45d5",
}
PROBLEM = re.compile(r"\b(\d+) ([-+]) (\d+) = (\d+)")


def digest(seed, part, n):
    state = hashlib.sha256()
    for document in itertools.islice(corpus.documents(seed, part), n):
        state.update(repr(document).encode())
    return state.hexdigest()


def check_text(document):
    for turn in document.turns:
        if document.kind != "code" and "def " not in turn:
            assert not re.search(r"[{}\[\]|]", turn), turn
            assert not re.search(r"  | [.,!?]|\b[Aa] [aeio]\w|[.!?] [a-z]", turn.replace(" = ?", "")), turn
        for a, op, b, c in PROBLEM.findall(turn):
            assert arithmetic.result(op, int(a), int(b)) == int(c), turn
            assert not arithmetic.is_held_out(op, int(a), int(b)), turn


def main():
    for seed, part in FIRST_DOCUMENTS:
        for document in itertools.islice(corpus.documents(seed, part), 20000):
            check_text(document)
        found = digest(seed, part, 2000)
        assert found == digest(seed, part, 2000) != digest(seed + 1, part, 2000)
        assert found == FIRST_DOCUMENTS[seed, part], "the corpus differs from the one of the shipped model: " + found
    print("corpus ok")


if __name__ == "__main__":
    main()
