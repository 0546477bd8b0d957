"""Compares an exported model with Hugging Face transformers (4.40 or newer) in float32.

Needs transformers, which the recipe itself does not. Checks the loss, the greedy text, that
tokenizer.json gives the ids of tokenizer.model, and that the chat template gives the trained form.
"""

import argparse
import itertools

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaTokenizerFast

import corpus
import data
import evaluate
import tokenizer as tokenizer_module

STRINGS = ["", " ", "  two  spaces ", "tab\tand\nnew line\n\n", "café naïve", "日本語 🙂", "x = 1\n    y = 22", "<s> [INST]</s".replace("<s>", "< s>"), "12345 + 9"]


@torch.no_grad()
def check_model(folder):
    ours, tokenizer = evaluate.load(folder)
    theirs = AutoModelForCausalLM.from_pretrained(folder, torch_dtype=torch.float32).eval()
    worst, loss, n = 0.0, [0.0, 0.0], 0
    for document in itertools.islice(corpus.documents(data.HELD_OUT_SEED), 40):
        ids = torch.tensor([tokenizer_module.encode(tokenizer, document)])
        a, b = ours(ids[:, :-1])[0], theirs(ids[:, :-1]).logits
        worst = max(worst, ((a - b).abs().max() / b.abs().max()).item())
        for i, logits in enumerate((a, b)):
            loss[i] += torch.nn.functional.cross_entropy(logits[0], ids[0, 1:], reduction="sum").item()
        n += ids.shape[1] - 1
    print(f"loss: ours {loss[0] / n:.6f}, transformers {loss[1] / n:.6f}; largest relative difference of logits {worst:.1e}")
    assert worst < 1e-4
    for is_chat, text in evaluate.PROMPTS[:2] + evaluate.PROMPTS[7:9]:
        ids = torch.tensor([evaluate.prompt_ids(tokenizer, is_chat, text)])
        out = theirs.generate(ids, max_new_tokens=60, do_sample=False, temperature=None, top_p=None, pad_token_id=2)
        print("|", tokenizer.decode(out[0].tolist()))


def check_tokenizer(folder):
    spm = tokenizer_module.load(folder + "/tokenizer.model")
    fast = LlamaTokenizerFast(tokenizer_file=folder + "/tokenizer.json")
    auto = AutoTokenizer.from_pretrained(folder)
    n = 0
    for document in itertools.islice(corpus.documents(7), 3000):
        for text in list(document.turns) + STRINGS:
            assert fast.encode(text) == [1] + spm.encode(text) == auto.encode(text), text
            n += 1
        if document.is_chat:
            messages = [{"role": ("user", "assistant")[i % 2], "content": turn} for i, turn in enumerate(document.turns)]
            assert auto.apply_chat_template(messages) == tokenizer_module.encode(spm, document), document
    print(n, "strings: tokenizer.json and tokenizer.model agree; the chat template gives the trained form")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    folder = parser.parse_args().model
    check_tokenizer(folder)
    check_model(folder)
