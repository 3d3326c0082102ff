# How the bridges of the miniature are trained: for train.sh and ablations.sh, in the directory of the data.
# shellcheck shell=bash disable=SC2034 # used where this is read

TASKS=(mgsm x-csqa xnli)
STAGE1_STEPS=800
declare -A STAGE2_STEPS=([mgsm]=500 [x-csqa]=3000 [xnli]=3000)
CHOICE_SHEETS_STEPS=400
declare -A STAGE2_ITEMS=([mgsm]=8000 [x-csqa]=4000 [xnli]=4000) # of a language; the same of each

# Steps of 32 samples. One thread a process: these models are too small for two.
COMMON=(--batch-size 32 --clip 1 --threads 1 --save-dtype bf16 --save-every 100)
STAGE1=(--stage translation --data data/train --steps "$STAGE1_STEPS" --lr 2e-3 "${COMMON[@]}")
# Task data are English and high-resource languages only.
TASK_LANGUAGES=en,de,es
STAGE2=(--stage task --lr 1e-3 "${COMMON[@]}")
