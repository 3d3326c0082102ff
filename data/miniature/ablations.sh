#!/usr/bin/env bash
# The paper's ablations of LayAlign on the miniature's arithmetic: trains each variant in the directory that train.sh made,
# evaluates it and prints one row per variant.
#
#   LAYEVAL=build/layeval data/miniature/ablations.sh OUT [VARIANT…]
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
LAYEVAL=$(realpath "${LAYEVAL:?the binary}")
cd "${1:?usage: ablations.sh OUT [VARIANT…]}"
shift
# shellcheck source=data/miniature/steps.sh
. "$here/steps.sh"

# name | keys of the system | keys of its bridge | options of stage 1 | options of stage 2
# A stage "-" is skipped, a stage "=" is that of train.sh.
VARIANTS=(
    "layalign|||=|="
    "no-adapter|\"adapter_attention\": false,|||"
    "no-soft-prompt|\"soft_prompt\": false,|||"
    "no-text-prompt|\"text_prompt\": false,||=|--no-text-prompt"
    "text-prompt-in-stage-1|||--text-prompt|"
    "stage-1-only|||=|-"
    "stage-2-only|||-|"
    "english-task-data|||=|--lang en"
    "last-encoder-layer||\"encoder_layers\": [4],||"
    "first-encoder-layers||\"encoder_layers\": [0, 1],||"
    "last-encoder-layers||\"encoder_layers\": [3, 4],||"
    "first-llm-layer||\"language_layers\": [0],||"
    "last-llm-layer||\"language_layers\": [2],||"
    "average-fusion||\"fusion\": \"average\",||"
    "mlp||\"structure\": \"MLP\",||"
    "wide-aligner||\"structure\": \"Wide\",||"
    "hidden-gate||\"gate\": \"hidden\",||"
)

# The stages that VARIANT has; prints the folder of its bridge.
train() {
    local name=$1 stage1=$2 stage2=$3 bridge='' options=()
    if [ "$stage1" = = ]; then
        bridge=train/layalign-1/last/bridge
    elif [ "$stage1" != - ]; then
        # shellcheck disable=SC2086 # options are words
        "$LAYEVAL" train --system "ablations/$name.json" "${STAGE1[@]}" $stage1 --out "ablations/$name-1" >&2
        bridge=ablations/$name-1/last/bridge
    fi
    if [ "$stage2" = = ]; then
        bridge=train/layalign-mgsm/last/bridge
    elif [ "$stage2" != - ]; then
        [ -z "$bridge" ] || options=(--init "$bridge/model.safetensors")
        [[ $stage2 = *--lang* ]] || stage2="--lang $TASK_LANGUAGES $stage2"
        # shellcheck disable=SC2086
        "$LAYEVAL" train --system "ablations/$name.json" "${STAGE2[@]}" --data data/train --task mgsm --limit "${STAGE2_ITEMS[mgsm]}" \
            --steps "${STAGE2_STEPS[mgsm]}" $stage2 ${options[@]+"${options[@]}"} --out "ablations/$name-2" >&2
        bridge=ablations/$name-2/last/bridge
    fi
    printf '%s' "$bridge"
}

# put_system NAME KEYS BRIDGE_KEYS BRIDGE
put_system() {
    printf '{"name": "%s", "method": "layalign", "llm": {"path": "../train/notes/last/llm"}, %s
 "encoder": {"path": "../train/encoder/last/encoder"}, "bridge": {%s "path": "../%s/model.safetensors"},
 "prompt_set": "mindmerger", "max_new_tokens": 48}\n' "$1" "$2" "$3" "$4" >"ablations/$1.json"
}

# train_variant NAME KEYS BRIDGE_KEYS STAGE1 STAGE2
train_variant() {
    put_system "$1" "$2" "$3" none
    local bridge
    bridge=$(train "$1" "$4" "$5")
    put_system "$1" "$2" "$3" "$bridge"
}

# Two at once, on one thread each.
mkdir -p ablations
systems=() pids=()
for variant in "${VARIANTS[@]}"; do
    IFS='|' read -r name keys bridge_keys stage1 stage2 <<<"$variant"
    [ $# = 0 ] || [[ " $* " = *" $name "* ]] || continue
    [ ${#pids[@]} -lt 2 ] || wait "${pids[-2]}"
    train_variant "$name" "$keys" "$bridge_keys" "$stage1" "$stage2" &
    pids+=($!)
    systems+=(--system "ablations/$name.json")
done
for pid in "${pids[@]}"; do
    wait "$pid"
done
"$LAYEVAL" run "${systems[@]}" --task mgsm --lang available --data data/test --out ablations/eval --quiet >/dev/null
python3 - <<'PYTHON'
import csv

rows = list(csv.DictReader(open("ablations/eval/results.csv", encoding="utf-8")))
languages = list(dict.fromkeys(row["language"] for row in rows))
print("| variant |" + "".join(" %s |" % language for language in languages))
print("|---|" + "---|" * len(languages))
for system in dict.fromkeys(row["system"] for row in rows):
    of = {row["language"]: row["acc_paper"] for row in rows if row["system"] == system}
    print("| %s |" % system + "".join(" %s |" % of[language] for language in languages))
PYTHON
