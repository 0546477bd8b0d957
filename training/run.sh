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
[ -e "$work/train.u16" ] || $python data.py "$work/tokenizer.model" "$work" --part-1-tokens 10452992 --part-2-tokens 14000000
train="$python train.py $work/tokenizer.model $work $work/out"
$train --steps 892 --step-tokens 4096 --lr 2e-3
$train --steps 7600 --decay-from 6000 --step-tokens 2048 --lr 1.5e-3
$python export.py "$work/out/checkpoint.pt" "$work/tokenizer.model" "$work/model"
$python plot.py "$work/out/log.csv" "$work/model/loss.png"
$python evaluate.py "$work/model" --json "$work/evaluation.json"
$python card.py "$work/model" "$work/evaluation.json" "$work/out/log.csv" "$work/out/checkpoint.pt"
