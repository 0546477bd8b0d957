"""Trains the SentencePiece tokenizer on the corpus, with the settings of Mistral's first tokenizer."""

import argparse
import itertools
import os
import shutil
import subprocess
import tempfile

import sentencepiece

import corpus

SEED = 1
N_DOCUMENTS = 30000


def train(model_path, vocab):
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "text"), "w") as text:
            for document in itertools.islice(corpus.documents(SEED, part=1), N_DOCUMENTS):
                text.writelines(turn + "\n" for turn in document.turns)
        subprocess.run([
            "spm_train", "--input=text", "--model_prefix=tokenizer", "--model_type=bpe",
            f"--vocab_size={vocab}", "--byte_fallback=true", "--split_digits=true", "--character_coverage=1.0",
            "--normalization_rule_name=identity", "--add_dummy_prefix=true", "--remove_extra_whitespaces=false",
            "--allow_whitespace_only_pieces=true", "--unk_id=0", "--bos_id=1", "--eos_id=2", "--pad_id=-1",
            "--num_threads=1", "--max_sentence_length=100000"], check=True, cwd=folder, stderr=subprocess.DEVNULL)
        shutil.move(os.path.join(folder, "tokenizer.model"), model_path)


def encode(tokenizer, document):
    """The ids of a document: BOS and text and EOS, or an instruct chat in Mistral's v1 form."""
    ids = [tokenizer.bos_id()]
    for i, turn in enumerate(document.turns):
        is_request = document.is_chat and i % 2 == 0
        ids += tokenizer.encode(f"[INST] {turn} [/INST]" if is_request else turn)
        if not is_request:
            ids.append(tokenizer.eos_id())
    return ids


def load(model_path):
    return sentencepiece.SentencePieceProcessor(model_file=model_path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model_path")
    parser.add_argument("--vocab", type=int, default=2048)
    args = parser.parse_args()
    train(args.model_path, args.vocab)
