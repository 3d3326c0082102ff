#!/usr/bin/env bash
# The paper in miniature: from word lists to a comparison of trained systems, with `layeval train` alone.
#
#   LAYEVAL=build/layeval data/miniature/train.sh OUT
#
# Needs python3 (standard library) and spm_train (Debian package sentencepiece). Every step is skipped when it is done
# and goes on where it stopped, so the same command continues after an interruption. OUT then holds
#   data/    training and test data, SentencePiece models
#   start/   models with random weights
#   train/   one training run each
#   mgsm/, x-csqa/, xnli/   the four systems of each task, which share all but the bridge's second stage
#   eval/    their runs and comparisons, a folder a task
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
LAYEVAL=$(realpath "${LAYEVAL:?the binary}")
out=${1:?usage: train.sh OUT}
mkdir -p "$out"
cd "$out"

# shellcheck source=data/miniature/steps.sh
. "$here/steps.sh"
SHEET_STEPS=1000 LLM_STEPS=5000 NOTES_STEPS=1000 TRANSLATOR_STEPS=1500 ENCODER_STEPS=2000
LANGUAGES=en,de,es,sw,bn,th
WHOLE_MODEL=(--beta1 0.9 --beta2 0.98 --weight-decay 0)

say() { printf '%s\n' "miniature: $*" >&2; }

make_data() {
    [ -e data/done ] && return
    say "data and tokenizers"
    python3 "$here/make.py" --out data
    mkdir -p data/spm
    (
        cd data/spm
        spm_train --input=../corpus/llm.txt --model_prefix=llm --model_type=bpe --vocab_size=1024 --byte_fallback=true \
            --character_coverage=1.0 --num_threads=1 --normalization_rule_name=identity \
            --remove_extra_whitespaces=false --allow_whitespace_only_pieces=true --minloglevel=2 --hard_vocab_limit=false
        spm_train --input=../corpus/encoder.txt --model_prefix=enc --model_type=bpe --vocab_size=1500 \
            --max_sentencepiece_length=16 --hard_vocab_limit=false --pad_id=0 --eos_id=1 --unk_id=2 --bos_id=-1 \
            --character_coverage=1.0 --num_threads=1 --minloglevel=2
    )
    touch data/done
}

make_start() {
    [ -e start/done ] && return
    say "models with random weights"
    rm -rf start
    "$LAYEVAL" make-model --shape miniature --dtype f32 --seed 1 --out start/llm --quiet
    "$LAYEVAL" make-model --shape miniature-mt5 --dtype f32 --seed 2 --out start/encoder --quiet
    cp data/spm/llm.model start/llm/tokenizer.model
    cp data/spm/enc.model start/encoder/spiece.model
    cat >start/llm/tokenizer_config.json <<'JSON'
{"add_bos_token": true, "add_eos_token": false, "bos_token": "<s>", "eos_token": "</s>", "tokenizer_class": "LlamaTokenizer", "unk_token": "<unk>"}
JSON
    cat >start/encoder/tokenizer_config.json <<'JSON'
{"eos_token": "</s>", "extra_ids": 0, "pad_token": "<pad>", "tokenizer_class": "T5Tokenizer", "unk_token": "<unk>"}
JSON
    touch start/done
}

# system FILE NAME METHOD LLM ENCODER BRIDGE PROMPTS
system() {
    local rest=''
    [ "$3" = plain ] || rest="\"encoder\": {\"path\": \"$5\"}, \"bridge\": {\"path\": \"$6\"},"
    printf '{"name": "%s", "method": "%s", "llm": {"path": "%s"}, %s "prompt_set": "%s", "max_new_tokens": 48}\n' \
        "$2" "$3" "$4" "$rest" "$7" >"$1"
}

make_systems() {
    local llm=train/notes/last/llm encoder=train/encoder/last/encoder task method prompts
    system start-llm.json start-llm plain start/llm '' '' mindmerger
    system sheets-llm.json sheets-llm plain train/sheets/last/llm '' '' mindmerger
    system translator.json translator mindmerger train/sheets/last/llm start/encoder none mindmerger
    system tasks-llm.json tasks-llm plain train/llm/last/llm '' '' mindmerger
    system translator-llm.json translator-llm mindmerger train/llm/last/llm train/translator/last/encoder none mindmerger
    for task in "${TASKS[@]}"; do
        mkdir -p "$task"
        system "$task/plain.json" plain plain ../$llm '' '' metamath
        for method in langbridge mindmerger layalign; do
            prompts=mindmerger
            [ $method != langbridge ] || prompts=langbridge
            system "$task/$method.json" $method $method ../$llm ../$encoder "../train/$method-$task/last/bridge" $prompts
        done
    done
}

# together NAME…: train_NAME of each at once; what they say goes to train/NAME.log.
together() {
    local name pids=() failed=0
    for name in "$@"; do
        "train_$name" 2>"train/$name.log" &
        pids+=($!)
    done
    for name in "$@"; do
        wait "${pids[0]}" || { failed=1 && say "$name: $(tail -n 1 "train/$name.log")"; }
        pids=("${pids[@]:1}")
    done
    return $failed
}

# English is what the LLM learns: first lists and premises with several questions each, because one letter or label a
# sample teaches it next to nothing in so few steps ...
train_sheets() {
    say "the LLM, $SHEET_STEPS steps"
    "$LAYEVAL" train --system start-llm.json --stage task --data data/train/sheets.jsonl --out train/sheets \
        --steps $SHEET_STEPS --lr 2e-3 --dev 100 --dev-every 500 "${WHOLE_MODEL[@]}" "${COMMON[@]}"
}

# ... then problems, choices, labels, and sentences to say again.
train_llm() {
    "$LAYEVAL" train --system sheets-llm.json --stage task --task mgsm,x-csqa,xnli,translation --lang en \
        --data data/train --out train/llm --steps $LLM_STEPS --lr 2e-3 --dev 100 --dev-every 500 \
        "${WHOLE_MODEL[@]}" "${COMMON[@]}"
}

# ... then to answer prompts that it cannot read from what stands in front of them. Large LLMs can; one that has only seen
# English asked once takes the nearest list of choices for the one that is meant, whatever a bridge puts in front. Sheets are
# among them, lest it forget how to answer several questions: bridges will need that. Other languages stand only in prompts
# that have nothing to do with the answer.
train_notes() {
    "$LAYEVAL" train --system tasks-llm.json --stage task --data data/train/notes.jsonl --out train/notes \
        --steps $NOTES_STEPS --lr 1.5e-3 --dev 100 --dev-every 200 "${WHOLE_MODEL[@]}" "${COMMON[@]}"
}

# The encoder becomes multilingual by translating six languages to English, with a decoder that starts as the LLM after
# its first stage and learns beside it ...
train_translator() {
    "$LAYEVAL" train --system translator.json --stage translation --train bridge,encoder,llm --lang $LANGUAGES \
        --data data/train --out train/translator --steps $TRANSLATOR_STEPS --lr 2e-3 --dev 200 --dev-every 500 \
        "${WHOLE_MODEL[@]}" "${COMMON[@]}"
}

# ... then through the LLM as it is by then, from sources that often mix languages: states that mean the same in all of them
# are what a bridge trained on tasks in some can carry over to the others. Decoder and bridge are thrown away.
train_encoder() {
    "$LAYEVAL" train --system translator-llm.json --stage task --train bridge,encoder --data data/train/encoder.jsonl \
        --init train/translator/last/bridge/model.safetensors --out train/encoder \
        --steps $ENCODER_STEPS --lr 1.5e-3 --dev 200 --dev-every 500 "${WHOLE_MODEL[@]}" "${COMMON[@]}"
}

# The two stages of the papers, encoder and LLM frozen; the second once for each task, as there. Before the choices come
# sheets of them: which letter stands for what is learned from five answers a sample, not from one.
train_bridge() {
    "$LAYEVAL" train --system "mgsm/$1.json" "${STAGE1[@]}" --out "train/$1-1"
    local task from prompt=()
    [ "$1" != langbridge ] || prompt=(--no-text-prompt)
    "$LAYEVAL" train --system "x-csqa/$1.json" "${STAGE2[@]}" --data data/train/choice_sheets.jsonl "${prompt[@]}" \
        --steps "$CHOICE_SHEETS_STEPS" --init "train/$1-1/last/bridge/model.safetensors" --out "train/$1-sheets"
    for task in "${TASKS[@]}"; do
        from=1
        [ "$task" != x-csqa ] || from=sheets
        "$LAYEVAL" train --system "$task/$1.json" "${STAGE2[@]}" --data data/train --lang $TASK_LANGUAGES --task "$task" \
            --limit "${STAGE2_ITEMS[$task]}" --steps "${STAGE2_STEPS[$task]}" \
            --init "train/$1-$from/last/bridge/model.safetensors" --out "train/$1-$task"
    done
}

train_langbridge() { train_bridge langbridge; }
train_mindmerger() { train_bridge mindmerger; }
train_layalign() { train_bridge layalign; }

evaluate() {
    local task
    for task in "${TASKS[@]}"; do
        say "evaluation: $task"
        "$LAYEVAL" run --system "$task/plain.json" --system "$task/langbridge.json" --system "$task/mindmerger.json" \
            --system "$task/layalign.json" --task "$task" --lang available --data data/test --out "eval/$task"
        "$LAYEVAL" compare "eval/$task"/{plain,langbridge,mindmerger,layalign} >"eval/$task.txt"
    done
    say "comparisons with intervals: $out/eval/*.txt"
}

make_data
make_start
make_systems
mkdir -p train
train_sheets
say "the LLM, $LLM_STEPS steps; the encoder with a decoder of its own, $TRANSLATOR_STEPS steps"
together llm translator
say "the LLM on notes, $NOTES_STEPS steps; the encoder through the LLM, $ENCODER_STEPS steps"
together notes encoder
say "bridges, $STAGE1_STEPS steps of translation, then ${STAGE2_STEPS[mgsm]}, $CHOICE_SHEETS_STEPS + ${STAGE2_STEPS[x-csqa]} and ${STAGE2_STEPS[xnli]} of the tasks"
together langbridge mindmerger layalign
evaluate
