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
#   *.json   the four systems;  eval/  their runs and the comparison
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
LAYEVAL=$(realpath "${LAYEVAL:?the binary}")
out=${1:?usage: train.sh OUT}
mkdir -p "$out"
cd "$out"

# Steps of 32 samples. Two processes train side by side on one thread each: these models are too small for two.
SHEET_STEPS=1000 LLM_STEPS=5000 TRANSLATOR_STEPS=1500 ENCODER_STEPS=1500 STAGE1_STEPS=800 STAGE2_STEPS=2500
LANGUAGES=en,de,es,sw,bn,th
COMMON=(--batch-size 32 --clip 1 --threads 1 --save-dtype bf16 --save-every 100)
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
    local llm=train/llm/last/llm encoder=train/encoder/last/encoder method
    system start-llm.json start-llm plain start/llm '' '' mindmerger
    system sheets-llm.json sheets-llm plain train/sheets/last/llm '' '' mindmerger
    system translator.json translator mindmerger train/sheets/last/llm start/encoder none mindmerger
    system translator-llm.json translator-llm mindmerger $llm train/translator/last/encoder none mindmerger
    system plain.json plain plain $llm '' '' metamath
    system langbridge.json langbridge langbridge $llm $encoder train/langbridge-2/last/bridge langbridge
    for method in mindmerger layalign; do
        system $method.json $method $method $llm $encoder train/$method-2/last/bridge/model.safetensors mindmerger
    done
}

# both LOG COMMAND, OTHER_LOG OTHER: two functions side by side; what they say goes to train/LOG.log.
both() {
    "$2" 2>"train/$1.log" &
    local first=$!
    "$4" 2>"train/$3.log" &
    wait $first && wait $! || { tail -n 3 "train/$1.log" "train/$3.log" >&2; return 1; }
}

# English is all the LLM ever sees: first lists and premises with several questions each, because one letter or label a
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

# The encoder becomes multilingual by translating six languages to English, with a decoder that starts as the LLM after
# its first stage and learns beside it ...
train_translator() {
    "$LAYEVAL" train --system translator.json --stage translation --train bridge,encoder,llm --lang $LANGUAGES \
        --data data/train --out train/translator --steps $TRANSLATOR_STEPS --lr 2e-3 --dev 200 --dev-every 500 \
        "${WHOLE_MODEL[@]}" "${COMMON[@]}"
}

# ... then through the LLM, which stays as it is. Decoder and bridge are thrown away.
train_encoder() {
    say "the encoder through the LLM, $ENCODER_STEPS steps"
    "$LAYEVAL" train --system translator-llm.json --stage translation --train bridge,encoder --lang $LANGUAGES \
        --data data/train --init train/translator/last/bridge/model.safetensors --out train/encoder \
        --steps $ENCODER_STEPS --lr 1e-3 --dev 200 --dev-every 500 "${WHOLE_MODEL[@]}" "${COMMON[@]}"
}

# The two stages of the papers, encoder and LLM frozen. Task data are English and high-resource languages only.
train_bridge() {
    "$LAYEVAL" train --system "$1.json" --stage translation --data data/train --out "train/$1-1" \
        --steps $STAGE1_STEPS --lr 2e-3 "${COMMON[@]}" &&
        "$LAYEVAL" train --system "$1.json" --stage task --task mgsm,x-csqa,xnli --lang en,de,es --limit 8000 \
            --data data/train --init "train/$1-1/last/bridge/model.safetensors" --out "train/$1-2" \
            --steps $STAGE2_STEPS --lr 1e-3 "${COMMON[@]}"
}

layalign_bridge() {
    train_bridge layalign
}

other_bridges() {
    train_bridge mindmerger && train_bridge langbridge
}

evaluate() {
    say "evaluation"
    "$LAYEVAL" run --system plain.json --system langbridge.json --system mindmerger.json --system layalign.json \
        --task mgsm,x-csqa,xnli --lang available --data data/test --out eval
    "$LAYEVAL" compare eval/plain eval/langbridge eval/mindmerger eval/layalign >eval/compare.txt
    say "comparison with intervals: $out/eval/compare.txt"
}

make_data
make_start
make_systems
mkdir -p train
train_sheets
say "the LLM, $LLM_STEPS steps; the encoder with a decoder of its own, $TRANSLATOR_STEPS steps"
both llm train_llm translator train_translator
train_encoder
say "bridges, $STAGE1_STEPS and $STAGE2_STEPS steps"
both layalign layalign_bridge others other_bridges
evaluate
