"""Makes tokenizer.json, the Hugging Face form of the SentencePiece BPE model."""

SPECIAL = ["<unk>", "<s>", "</s>"]


def merges(tokenizer):
    """All splits of all pieces into two known pieces, in the order in which SentencePiece merges them."""
    ids = {tokenizer.id_to_piece(i): i for i in range(tokenizer.vocab_size())
           if not tokenizer.is_control(i) and not tokenizer.is_unknown(i) and not tokenizer.is_byte(i)}
    ranked = []
    for piece, i in ids.items():
        splits = [(piece[:cut], piece[cut:]) for cut in range(1, len(piece)) if piece[:cut] in ids and piece[cut:] in ids]
        splits.sort(key=lambda split: (ids[split[0]], ids[split[1]]))
        ranked += [(-tokenizer.get_score(i), len(ranked) + n, split) for n, split in enumerate(splits)]
    return [f"{left} {right}" for _, _, (left, right) in sorted(ranked)]


def make(tokenizer):
    """Returns the content of tokenizer.json; its normalizer is that of `"legacy": true`."""
    def added(i, text):
        return {"id": i, "content": text, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}

    def special(text):
        return {"SpecialToken": {"id": text, "type_id": 0}}

    def sequence(name, type_id):
        return {"Sequence": {"id": name, "type_id": type_id}}

    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [added(i, text) for i, text in enumerate(SPECIAL)],
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": "\u2581"}, {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}]},
        "pre_tokenizer": None,
        "post_processor": {
            "type": "TemplateProcessing", "single": [special("<s>"), sequence("A", 0)],
            "pair": [special("<s>"), sequence("A", 0), {"SpecialToken": {"id": "<s>", "type_id": 1}}, sequence("B", 1)],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}},
        "decoder": {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
        "model": {
            "type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None, "end_of_word_suffix": None,
            "fuse_unk": True, "byte_fallback": True,
            "vocab": {tokenizer.id_to_piece(i): i for i in range(tokenizer.vocab_size())}, "merges": merges(tokenizer)},
    }
