#!/usr/bin/env python3
"""Checks that transformers reads what `mixtral convert --to hf` writes: logits of every original checkpoint of
checkpoints/ equal those of transformers' own conversion of it, native files on the way change nothing, decoded
weights of quantised ones load, and tokenizers give the ids that `mixtral tokenize` gives.

Run as `check_hf_output.py MIXTRAL_COMMAND`, with torch, transformers and sentencepiece installed; passes with torch
2.15.0 and transformers 4.57.3. Takes half a minute. Not a part of tests/run.sh, which needs no torch.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

GOLDENS = Path(__file__).parent
CHECKPOINTS = GOLDENS / "checkpoints"
POCKET = GOLDENS.parent.parent / "examples" / "models" / "pocket-mixtral"
TEXTS = ["Once upon a time", " two  spaces", "line\nbreak", "naïve café 東京 🙂", "", "x"]
command = sys.argv[1]


def mixtral(*arguments):
    return subprocess.run([command, *map(str, arguments)], check=True, capture_output=True, text=True).stdout


def logits(directory, ids):
    model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32, attn_implementation="eager")
    with torch.no_grad():
        return model(ids).logits


def check_originals(scratch):
    ids = load_file(CHECKPOINTS / "hf" / "golden.safetensors")["prompt_ids"].long()[None]
    expected = logits(CHECKPOINTS / "hf", ids)
    for name, dtype in (("stacked", "bf16"), ("experts", "f16"), ("strided", "f32"), ("safetensors", "bf16")):
        mixtral("convert", CHECKPOINTS / name, scratch / name, "--to", "hf", "--shard-size", "20kB")
        assert (scratch / name / "model.safetensors.index.json").exists()
        assert torch.equal(logits(scratch / name, ids), expected), name
        mixtral("convert", CHECKPOINTS / name, scratch / f"{name}.mixtral", "--to", dtype)
        mixtral("convert", scratch / f"{name}.mixtral", scratch / f"{name}-back", "--to", "hf")
        assert torch.equal(logits(scratch / f"{name}-back", ids), expected), name
        print(f"{name}: the logits of {len(ids[0])} tokens are equal, also by way of a native file")


def check_quantised(scratch):
    ids = torch.tensor([[1, 5, 9, 3]])
    for directory in sorted(CHECKPOINTS.glob("*/decoded.safetensors")):
        name = directory.parent.name
        mixtral("convert", directory.parent, scratch / name, "--to", "hf")
        assert torch.isfinite(logits(scratch / name, ids)).all(), name
        written, decoded = load_file(scratch / name / "model.safetensors"), load_file(directory)
        assert written.keys() == decoded.keys()
        assert all(torch.equal(written[key], decoded[key]) for key in decoded), name
        print(f"{name}: {len(decoded)} tensors are equal")


def check_tokenizers(scratch):
    for kind in ("tokenizer.model", "tokenizer.json"):
        source = scratch / f"source-{kind}"
        source.mkdir()
        for file in ("config.json", "model.safetensors", kind):
            (source / file).symlink_to(POCKET / file)
        mixtral("convert", source, scratch / f"with-{kind}", "--to", "hf")
        tokenizer = AutoTokenizer.from_pretrained(scratch / f"with-{kind}")
        for text in TEXTS:
            ids = json.loads(mixtral("tokenize", POCKET, text, "--json"))["ids"]
            found = tokenizer.encode(text)
            assert found == ids, (kind, text, found, ids)
            assert tokenizer.decode(found, skip_special_tokens=True) == text, (kind, text)
        print(f"{kind}: {type(tokenizer).__name__} gives the same ids of {len(TEXTS)} texts")


with tempfile.TemporaryDirectory() as scratch:
    check_originals(Path(scratch))
    check_quantised(Path(scratch))
    check_tokenizers(Path(scratch))
