#!/bin/sh
# The whole recipe: tokenizer, data, training, export, evaluation. Run it again to resume the training.
# Usage: training/run.sh [WORK_FOLDER]   (default: /tmp/mixtral-training; the result lies in WORK_FOLDER/model)
set -eu
work=${1:-/tmp/mixtral-training}
mkdir -p "$work"
cd "$(dirname "$0")"

# One thread: the matrices are small. The malloc settings keep freed memory, so a step faults no new pages.
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
export MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=4000000000 MALLOC_TOP_PAD_=268435456

python=${PYTHON:-/usr/bin/python3}
[ -e "$work/tokenizer.model" ] || $python tokenizer.py "$work/tokenizer.model"
[ -e "$work/train.u16" ] || $python data.py "$work/tokenizer.model" "$work" --train-tokens 24000000
$python train.py "$work/tokenizer.model" "$work" "$work/out" --steps 6000 --decay-from 4500
$python export.py "$work/out/checkpoint.pt" "$work/tokenizer.model" "$work/model"
$python plot.py "$work/out/log.csv" "$work/model/loss.png"
$python evaluate.py "$work/model" --json "$work/evaluation.json"
