#!/usr/bin/env bash
# Downloads the public benchmarks into the layout that layeval reads. `data/fetch.sh --help` says more.
set -euo pipefail

readonly URL_NLP=https://raw.githubusercontent.com/google-research/url-nlp/452a21ad3dae5668c06ceeac21ff073e1e40f9be/mgsm
readonly OCTOPUS=https://raw.githubusercontent.com/microsoft/MathOctopus/4d385db696c420b212ccf861fcfab13c1499a576/step1_supervised_finetuning/data
readonly XNLI_ZIP=https://dl.fbaipublicfiles.com/XNLI/XNLI-1.0.zip
readonly XNLI_SHA=4ba1d5e1afdb7161f0f23c66dc787802ccfa8a25a3ddd3b165a35e50df346ab1
readonly XCSR_ZIP=https://inklab.usc.edu/XCSR/xcsr_datasets.zip
readonly XCSR_SHA=c45b29ece740643252d5402e76be1e33f96f9d6910053f79e80d39887f10c85e
readonly XCSQA_LANGUAGES="ar de en es fr hi it jap nl pl pt ru sw ur vi zh"

usage() {
  cat <<'TEXT'
usage: data/fetch.sh TASK... [--out DIR]

Downloads benchmarks into DIR/TASK (default: ./datasets), ready for `layeval run --data DIR`.
Every download is checked against a recorded SHA-256 before a file gets its name; files that are
there and right are kept, so an interrupted run is simply started again.

  mgsm       11 languages x 250, TSV        google-research/url-nlp, CC-BY 4.0
  mgsm-json  the same as JSON lines         microsoft/MathOctopus
  msvamp     10 languages x 1000            microsoft/MathOctopus, MIT
  x-csqa     16 languages x 1000 (dev)      INK-USC X-CSR
  xnli       15 languages x 5010 (test)     facebookresearch/XNLI, CC BY-NC 4.0: not for commercial use
  all        mgsm, msvamp, x-csqa, xnli

Needs curl or wget, sha256sum, and for x-csqa and xnli unzip or python3.
Exit codes: 0 fine, 2 usage, 3 no network, a missing program, or a file that is not what it should be.
TEXT
}

say() { printf 'fetch.sh: %s\n' "$*" >&2; }
fail() { say "$*"; exit 3; }

# --- recorded sums ---------------------------------------------------------------------------------------------------

sums_mgsm() { cat <<'SUMS'
6b00bc7cc635547e866989284afa924d789b5affa2eb8de623c385dd943ad977  mgsm_bn.tsv
4dfea30fede44b813e2e496f5f0534049e83c7cc8aed6e00600b30ec62053626  mgsm_de.tsv
50021d0f28cc957edcb44e7806425b1c7fbd648ddcb9e0a8ec689d10e57d40fa  mgsm_en.tsv
5bd27ebdf00140cec845c5298dc17715f5cd57d8edda6df1976db40bf3f0750a  mgsm_es.tsv
36207c1c03fd7cd3ea491441eb755408199f94e4a647851df531bbaedc99d606  mgsm_fr.tsv
59a2b50debe77981fd784cb3b2bef1505e3abf2a37116dc9d7a366ab029b4637  mgsm_ja.tsv
6bd30fd2e80c5bac23f566fb4ae0e6a55a19578401fbf9a01fb21beb3645fef8  mgsm_ru.tsv
2bac828d77229e65d7c7197b1ad4a2cb5b1fe99b163f2cbdd66501de6a2115c4  mgsm_sw.tsv
dd6b1452c244bb2e4ba254c01ea84137f80c1cefc57d69c23b0ed88b9c0f36b7  mgsm_te.tsv
f3932dc5ad8e9d0ea82b017adc1e1461dd647af861e7166d6741986602a0cfd6  mgsm_th.tsv
b2fa63151022370a0de1f4211c8c284eae74b0f5a3b003b1d5982c0d4a73f661  mgsm_zh.tsv
SUMS
}

sums_mgsm_json() { cat <<'SUMS'
7a760ca594acfdd071407f03f625f2e44df8770e5db8e2e4629ffb9dbed99216  mgsm_Bengali.json
733830580dcbe6a60c14ce990c01f7e8a2dc9de1d753609ed7cd5d8ba75e1a02  mgsm_Chinese.json
5e0fd62271ebeaf684ca5f6571680b58a34893b82f16a8085e0ad9acfed4faef  mgsm_English.json
f2529651d0d7a09bcea5d31b7011fd8081afe231922fe5153fa93e8603a3fb9c  mgsm_French.json
4201b2cbe163c4aaf5f18272a1a2708ec7f6d7222abf0b21e91a6402e279fad3  mgsm_German.json
ae1ae089dcf3424a2dce944a9d12c65d5fa23f7d21181a77dbc85e4d06a7a431  mgsm_Japanese.json
c5e005b3ceff659b2ca7770325fd6ab7c6ef2442d75f489a0700cbef8496e4db  mgsm_Russian.json
9a5619f23f25db3549d84ded956c02a7efe6f1a3507e9882fd0ce9965c6bd1aa  mgsm_Spanish.json
d29a8fa1a349b944a0fbec3b8eaf9ab6156614451db2cd6390be31c26d0f20c0  mgsm_Swahili.json
22516f7fb9f21df4db76eda73cbc5d558443da368fbf9a6655eae8731cf7d87d  mgsm_Telugu.json
ce28385b7d7686a77075fb0777c7b9c0a6051c4103b47d24492c5be1a87be47d  mgsm_Thai.json
SUMS
}

sums_msvamp() { cat <<'SUMS'
d1c0bb8e3a93127bdffab516ef9bb739ae5007f9071ae97c447c294b1fd65e82  test_Bengali.json
31e136303b56ed1734d3e9fbcdcff4499f974a0857298816c41e1c5c0be6b4bd  test_Chinese.json
9431a24e993a8f83fd602393ffbb368e1d91fa36b2110ad8f1e0ec319792eed0  test_English.json
3a756d228f3d9ee219b673f9dda091b6d64f7c4d0e71045d6a6dbf315539e0ea  test_French.json
f5b854da48da762163fb3ccf60307bb9a97e0efac2fd44fdb5ba0969ee1464aa  test_German.json
04f89b370bb22a6a78de99fc36e30658186149858172abf8e68665890e81322b  test_Japanese.json
05d2d317c24f1180c0839d7813f6bebcaeeb57d919cd2d748a0b9964fd77a1c0  test_Russian.json
0aecc731e945d196c8eb38ddb5ad683821e5fd72c55273db1f2233d559495275  test_Spanish.json
15f863a79b7e4adf820d76b61044f4e4489f7710d14128ad7b4e915e133a2c16  test_Swahili.json
60b81f4458f584f637a35e57e85f503173ef67434a83a449c6ee6670a730e9f8  test_Thai.json
SUMS
}

# --- downloading -----------------------------------------------------------------------------------------------------

work=
folder=
cleanup() {
  [ -z "$work" ] || rm -rf "$work"
  [ -z "$folder" ] || rmdir "$folder" 2>/dev/null || true # only when nothing came
}
trap cleanup EXIT
trap 'exit 130' INT TERM

have() { command -v "$1" >/dev/null 2>&1; }

sum_of() { sha256sum "$1" | cut -d' ' -f1; }

is_right() { # file sha256
  [ -f "$1" ] && [ "$(sum_of "$1")" = "$2" ]
}

# The downloader's exit code tells an unreachable network from a server that says no.
download() { # url file
  local code=0 host
  host=$(printf '%s' "$1" | cut -d/ -f3)
  if have curl; then
    curl --fail --silent --show-error --location --connect-timeout 20 --retry 2 --output "$2" "$1" || code=$?
    case $code in
      0) return ;;
      5 | 6 | 7 | 28 | 35 | 56) fail "no network: $host cannot be reached (curl says $code). Connect, or put the files there by hand: $1" ;;
    esac
  else
    wget --quiet --tries=2 --timeout=20 --output-document="$2" "$1" || code=$?
    case $code in
      0) return ;;
      4 | 5) fail "no network: $host cannot be reached (wget says $code). Connect, or put the files there by hand: $1" ;;
    esac
  fi
  fail "$1 could not be downloaded (code $code); it may have moved"
}

# Downloads to a temporary name beside the target and renames it once its sum is right.
get() { # url file sha256
  if is_right "$2" "$3"; then
    return
  fi
  local part
  part=$work/$(basename "$2").part
  download "$1" "$part"
  if ! is_right "$part" "$3"; then
    fail "$1: SHA-256 is $(sum_of "$part") instead of $3; not kept: the file has changed or was damaged on its way"
  fi
  mv -f "$part" "$2"
  say "got $2"
}

extract() { # zip member file
  if have unzip; then
    unzip -p "$1" "$2" >"$3.part" || fail "$1: no $2 in it"
  else
    python3 -c 'import shutil, sys, zipfile
with zipfile.ZipFile(sys.argv[1]).open(sys.argv[2]) as member, open(sys.argv[3], "wb") as out:
    shutil.copyfileobj(member, out)' "$1" "$2" "$3.part" || fail "$1: no $2 in it"
  fi
  [ -s "$3.part" ] || fail "$1: $2 is empty"
}

need_unzip() {
  have unzip || have python3 || fail "unzip is missing (on Debian: apt-get install unzip)"
}

# --- tasks -----------------------------------------------------------------------------------------------------------

fetch_list() { # url folder sums
  local sum name
  while read -r sum name; do
    get "$1/$name" "$2/$name" "$sum"
  done < <("$3")
}

fetch_xnli() { # folder
  if [ -s "$1/xnli.test.tsv" ]; then
    say "kept $1/xnli.test.tsv (only the archive has a recorded SHA-256: remove it to download again)"
    return
  fi
  need_unzip
  get "$XNLI_ZIP" "$work/XNLI.zip" "$XNLI_SHA"
  extract "$work/XNLI.zip" XNLI-1.0/xnli.test.tsv "$work/xnli.test.tsv"
  mv -f "$work/xnli.test.tsv.part" "$1/xnli.test.tsv"
  say "got $1/xnli.test.tsv"
}

fetch_x_csqa() { # folder
  local language missing=0
  for language in $XCSQA_LANGUAGES; do
    [ -s "$1/$language/dev.jsonl" ] || missing=1
  done
  if [ $missing = 0 ]; then
    say "kept $1 (only the archive has a recorded SHA-256: remove the folder to download again)"
    return
  fi
  need_unzip
  get "$XCSR_ZIP" "$work/XCSR.zip" "$XCSR_SHA"
  for language in $XCSQA_LANGUAGES; do
    mkdir -p "$1/$language"
    extract "$work/XCSR.zip" "X-CSR_datasets/X-CSQA/$language/dev.jsonl" "$work/$language"
    mv -f "$work/$language.part" "$1/$language/dev.jsonl"
  done
  say "got $1 ($XCSQA_LANGUAGES)"
}

fetch() { # task out
  folder=$2/$1
  mkdir -p "$folder" || fail "$folder cannot be created"
  work=$(mktemp -d "$2/.fetch-XXXXXX") || fail "$2 cannot be written to"
  case $1 in
    mgsm) fetch_list "$URL_NLP" "$folder" sums_mgsm ;;
    mgsm-json) fetch_list "$OCTOPUS/mgsm" "$folder" sums_mgsm_json ;;
    msvamp) fetch_list "$OCTOPUS/msvamp" "$folder" sums_msvamp ;;
    x-csqa) fetch_x_csqa "$folder" ;;
    xnli) fetch_xnli "$folder" ;;
  esac
  rm -rf "$work"
  work=
  folder=
}

main() {
  local out=datasets tasks=() task
  while [ $# -gt 0 ]; do
    case $1 in
      --help | -h) usage; return 0 ;;
      --out=*) out=${1#--out=} ;;
      --out)
        [ $# -gt 1 ] || { say "--out needs a directory"; return 2; }
        out=$2
        shift ;;
      mgsm | mgsm-json | msvamp | x-csqa | xnli) tasks+=("$1") ;;
      all) tasks+=(mgsm msvamp x-csqa xnli) ;;
      *) say "\"$1\" is no task and no option; see data/fetch.sh --help"; return 2 ;;
    esac
    shift
  done
  if [ ${#tasks[@]} = 0 ]; then
    usage >&2
    return 2
  fi
  [ -n "$out" ] || { say "--out needs a directory"; return 2; }
  have curl || have wget || fail "neither curl nor wget is there (on Debian: apt-get install curl)"
  have sha256sum || fail "sha256sum is missing (on Debian it is in coreutils)"
  for task in "${tasks[@]}"; do
    fetch "$task" "$out"
  done
  say "done; for example: layeval tasks, then layeval run --data $out --task ${tasks[0]} ..."
}

main "$@"
