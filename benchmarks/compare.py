#!/usr/bin/env python3
"""Times mixtral and llama.cpp in turn on the same weights in the same formats.

MODEL is a bf16 Hugging Face directory, such as `mixtral synth` writes. From it come, once for each format,
our file (`mixtral convert`) and a GGUF file (llama.cpp's own quantiser); they stay in MODEL.compare/.
Every round times ours, then llama.cpp, in processes of their own. llama.cpp is tried with and without
repacked weights and fused attention in the first round; the settings that win a test stay, and each test
shows its best. The roof of a test is what the read bandwidth or the arithmetic, whichever is less,
would allow, as `mixtral bench` measures them in the same rounds.

Install with: CMAKE_ARGS="-DGGML_NATIVE=ON -DGGML_LLAMAFILE=ON" \\
    pip install --no-binary llama-cpp-python -r benchmarks/requirements.txt
"""

import argparse
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys

import numpy

from comparison import gguf_file, llama_cpp_peer, ours, plot

HERE = pathlib.Path(__file__).resolve().parent
FORMATS = {"bf16": "BF16", "q8_0": "Q8_0", "q6_k": "Q6_K", "q5_k": "Q5_K", "q5_0": "Q5_0", "q5_1": "Q5_1",
           "q4_k": "Q4_K", "q4_0": "Q4_0", "q4_1": "Q4_1", "q3_k": "Q3_K", "q2_k": "Q2_K", "iq4_nl": "IQ4_NL",
           "iq4_xs": "IQ4_XS"}  # by our names, llama.cpp's
SAME_MODEL = 1e-2  # relative error of bf16 logits between two implementations of one model


def log(text):
    print(text, file=sys.stderr, flush=True)


def make(path, write):
    """`path`, written by write(temporary path) unless it is there."""
    if not path.exists():
        log(f"writing {path}")
        partial = path.with_name(path.name + ".partial")
        write(partial)
        partial.rename(path)
    return path


def prepare(args, name):
    """Our file and the GGUF file of format `name`."""
    folder = args.model.with_name(args.model.name + ".compare")
    folder.mkdir(exist_ok=True)
    mine = make(folder / f"{name}.mixtral",
                lambda path: ours.convert(args.mixtral, args.model, path, name, args.threads))
    theirs = make(folder / "bf16.gguf", lambda path: gguf_file.write_gguf(args.model, path))
    if name != "bf16":
        source = theirs
        theirs = make(folder / f"{name}.gguf", lambda path: llama_cpp_peer.quantise(
            source, path, FORMATS[name], args.threads))
    return mine, theirs


def logits_error(args, mine, theirs):
    """Relative error between both sides' logits: the median over some positions."""
    vocab = gguf_file.read_config(args.model)["vocab_size"]
    tokens = random.Random(0).choices(range(vocab), k=16)
    a = ours.logits_of(args.mixtral, mine, tokens, args.threads)
    b = llama_cpp_peer.logits_of(theirs, tokens, args.threads)
    return float(numpy.median(numpy.linalg.norm(a - b, axis=1) / numpy.linalg.norm(b, axis=1)))


def bench_llama_cpp(args, path, variants):
    arguments = [path, "--variants", ",".join(variants), "--threads", args.threads, "--tg", args.tg,
                 "--pp", ",".join(map(str, args.pp)), "--tg-depth", ",".join(map(str, args.tg_depth)),
                 "--repetitions", args.repetitions]
    result = subprocess.run([sys.executable, "-m", "comparison.llama_cpp_peer", *map(str, arguments)],
                            cwd=HERE, capture_output=True, text=True)
    if result.returncode != 0:
        raise RuntimeError(f"llama.cpp: {result.stderr.strip()}")
    return json.loads(result.stdout)


def winners(results):
    """The variants that are the fastest of `results` in some test."""
    tests = next(iter(results.values()))
    return sorted({max(results, key=lambda variant: results[variant][test]) for test in tests})


def run_rounds(args, name, mine, theirs):
    """[(our report, llama.cpp's results)] of the rounds."""
    rounds, variants = [], list(llama_cpp_peer.VARIANTS)
    for number in range(args.rounds):
        log(f"{name}: round {number + 1} of {args.rounds}")
        report = ours.bench(args.mixtral, mine, args.pp, args.tg, args.tg_depth, args.threads, args.repetitions)
        results = bench_llama_cpp(args, theirs, variants)
        rounds.append((report, results))
        if number == 0:
            variants = winners(results)
    return rounds


def summarise(name, rounds):
    """One row a test."""
    rows = []
    roofs = [report["roofs"] for report, _ in rounds]
    read = statistics.median(roof["read_gb_per_second"] for roof in roofs) * 1e9
    arithmetic = statistics.median(roof[roof["arithmetic"] + "_gops"] for roof in roofs) * 1e9
    variants = rounds[-1][1]  # those of every round
    for i, result in enumerate(rounds[0][0]["results"]):
        test = result["test"]
        speed = statistics.median(report["results"][i]["tokens_per_second"] for report, _ in rounds)
        theirs = {variant: statistics.median(results[variant][test] for _, results in rounds)
                  for variant in variants}
        best = max(theirs, key=theirs.get)
        rows.append({
            "format": name,
            "test": test,
            "mixtral": speed,
            "llama_cpp": theirs[best],
            "settings": best,
            "ratio": speed / theirs[best],
            "roof": min(read / result["bytes_per_token"], arithmetic / result["operations_per_token"]),
            "read_roof_ratio": speed * result["bytes_per_token"] / read,
            "arithmetic_roof_ratio": speed * result["operations_per_token"] / arithmetic,
        })
    return rows


def compare_format(args, name):
    mine, theirs = prepare(args, name)
    error = logits_error(args, mine, theirs)
    log(f"{name}: the logits differ by {error:.2%}")
    if name == "bf16" and error > SAME_MODEL:
        raise RuntimeError(f"not the same model: bf16 logits differ by {error:.2%}, expected {SAME_MODEL:.0%} at most")
    rounds = run_rounds(args, name, mine, theirs)
    rows = summarise(name, rounds)
    log(table(rows))  # what a later interruption doesn't take
    return {"format": name, "logits_error": error, "gguf_bytes": gguf_file.weight_types(theirs),
            "weight_bytes": rounds[0][0]["weight_bytes"], "rows": rows,
            "rounds": [{"mixtral": report, "llama_cpp": results} for report, results in rounds]}


def cpu_name():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return "unknown CPU"


def table(rows):
    """Markdown."""
    lines = ["| weights | test | mixtral tok/s | llama.cpp tok/s | ratio | of read | of arithmetic | its settings |",
             "|---|---|---|---|---|---|---|---|"]
    for row in rows:
        lines.append("| {format} | {test} | {mixtral:.4g} | {llama_cpp:.4g} | {ratio:.2f} | {read_roof_ratio:.0%} | "
                     "{arithmetic_roof_ratio:.0%} | {settings} |".format_map(row))
    return "\n".join(lines)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path, metavar="MODEL")
    parser.add_argument("--mixtral", default=HERE.parent / "build/release/bin/mixtral", help="the command")
    parser.add_argument("--formats", type=lambda text: text.split(","), default=["q4_k", "q4_0", "q8_0", "bf16"],
                        help=f"some of {','.join(FORMATS)} (default: q4_k,q4_0,q8_0,bf16)")
    parser.add_argument("--pp", type=llama_cpp_peer.numbers, default=[16, 64, 128, 512], help="lengths of prompts")
    parser.add_argument("--tg", type=int, default=32, help="tokens to decode")
    parser.add_argument("--tg-depth", type=llama_cpp_peer.numbers, default=[0],
                        help="positions before them; llama.cpp computes these, which takes its time")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repetitions", type=int, default=1, help="timed runs in a round")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--json", type=pathlib.Path, help="where everything measured goes")
    parser.add_argument("--plot", help="writes PLOT.png and PLOT.svg")
    args = parser.parse_args()
    unknown = set(args.formats) - set(FORMATS)
    if unknown:
        parser.error(f"unknown formats {sorted(unknown)}, expected some of {sorted(FORMATS)}")
    args.model = args.model.resolve()
    return args


def main():
    args = parse_arguments()
    machine = {"cpu": cpu_name(), "threads": args.threads, "mixtral": ours.version(args.mixtral),
               **llama_cpp_peer.versions()}
    formats = [compare_format(args, name) for name in args.formats]
    rows = [row for entry in formats for row in entry["rows"]]
    roofs = formats[-1]["rounds"][-1]["mixtral"]["roofs"]
    print(table(rows))
    print(f"\nMedians of {args.rounds} rounds. " + ", ".join(f"{key} {value}" for key, value in machine.items()))
    print("Roofs of the last round: " + ", ".join(f"{key} {value:.4g}" for key, value in roofs.items()
                                                 if isinstance(value, float)))
    if args.json:
        args.json.write_text(json.dumps({"machine": machine, "command": sys.argv, "formats": formats}, indent=1))
    if args.plot:
        caption = f"{machine['cpu']}, {args.threads} threads; {machine['mixtral']}, llama-cpp-python " \
                  f"{machine['llama-cpp-python']}; medians of {args.rounds} rounds; dashed: the roof"
        plot.draw(rows, caption, args.plot)


if __name__ == "__main__":
    main()
