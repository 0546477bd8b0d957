"""tokenizer.json made from a SentencePiece BPE model, by the rules of transformers' converter."""


def merges(processor):
    """A merge for every way to make a piece of two others, the best score first. Of equal scores
    the longer left part comes first, then the longer right part."""
    size = processor.get_piece_size()
    ids = {processor.id_to_piece(i): i for i in range(size)}
    found = []
    for i in range(size):
        piece, score = processor.id_to_piece(i), processor.get_score(i)
        if not is_mergeable(processor, i):
            continue
        pairs = [(piece[:cut], piece[cut:]) for cut in range(1, len(piece))]
        pairs = [pair for pair in pairs if all(part in ids for part in pair)]
        pairs.sort(key=lambda pair: (ids[pair[0]], ids[pair[1]]))
        found += [(score, pair) for pair in pairs]
    found.sort(key=lambda entry: (entry[0], len(entry[1][0]), len(entry[1][1])), reverse=True)
    return [list(pair) for _, pair in found]


def is_mergeable(processor, i):
    special = processor.is_control(i) or processor.is_unknown(i) or processor.is_byte(i)
    return not special and not is_user_defined(processor, i)


def is_user_defined(processor, i):
    """The processor cannot be asked; Mistral's models name their user-defined pieces so."""
    return processor.id_to_piece(i).startswith("[REFERENCE_DOC_")


def added_tokens(processor):
    tokens = []
    for i in range(processor.get_piece_size()):
        special = processor.is_control(i) or processor.is_unknown(i)
        if special or is_user_defined(processor, i):
            tokens.append(
                {
                    "id": i,
                    "content": processor.id_to_piece(i),
                    "single_word": False,
                    "lstrip": False,
                    "rstrip": False,
                    "normalized": False,
                    "special": special,
                }
            )
    return tokens


def bos_template():
    bos = {"SpecialToken": {"id": "<s>", "type_id": 0}}
    first, second = ({"Sequence": {"id": name, "type_id": i}} for i, name in enumerate("AB"))
    second_bos = {"SpecialToken": {"id": "<s>", "type_id": 1}}
    return {
        "type": "TemplateProcessing",
        "single": [bos, first],
        "pair": [bos, first, second_bos, second],
        "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}},
    }


LEGACY_NORMALIZER = {
    "type": "Sequence",
    "normalizers": [
        {"type": "Prepend", "prepend": "▁"},
        {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
    ],
}
METASPACE = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False}
DECODER = {
    "type": "Sequence",
    "decoders": [
        {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
        {"type": "ByteFallback"},
        {"type": "Fuse"},
        {"type": "Strip", "content": " ", "start": 1, "stop": 0},
    ],
}


def from_sentencepiece(processor, legacy):
    """legacy: a normalizer writes the leading space, as in the files of 8x7B; else Metaspace."""
    size = processor.get_piece_size()
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added_tokens(processor),
        "normalizer": LEGACY_NORMALIZER if legacy else None,
        "pre_tokenizer": None if legacy else METASPACE,
        "post_processor": bos_template(),
        "decoder": DECODER,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": "<unk>",
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": True,
            "byte_fallback": True,
            "ignore_merges": False,
            "vocab": {processor.id_to_piece(i): i for i in range(size)},
            "merges": merges(processor),
        },
    }
