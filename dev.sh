#!/usr/bin/env bash
# One entry point for people and for CI: ./dev.sh help lists what it does.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

TASKS=(mgsm x-csqa xnli)
SYSTEMS=(plain langbridge mindmerger layalign)
LIBRARIES=(libdnnl-dev libcjson-dev libcsv-dev libsentencepiece-dev libzip-dev zlib1g-dev libxxhash-dev libutf8proc-dev libcmocka-dev)

say() { printf '%s\n' "dev.sh: $*" >&2; }
die() {
    say "$*"
    exit 1
}

help() {
    cat <<'TEXT'
usage: ./dev.sh COMMAND

  setup   install the compilers, tools and libraries the build needs (Debian, Ubuntu: apt)
  build   release build: build/layeval
  demo    build, evaluate the four bundled, trained systems of each task on held-out data of theirs; results in
          runs/demo, a folder a task (an earlier runs/demo is replaced)
  miniature
          build, and make those systems from nothing: data, tokenizers, LLM, encoder and bridges, trained and
          compared; results in runs/miniature (what is there is gone on with)
  test    all tests twice: release build, then AddressSanitizer + UndefinedBehaviorSanitizer (build-asan)
  browser-test
          the tests of the HTML report in headless Chromium, and how fast it is there
  bench   run the benchmarks under tests/bench
  fmt     format the C and C++ files in place
  check   clang-format, clang-tidy and cppcheck must have nothing to say
  help    this text

Every command installs what it is missing; with nothing missing apt is not called. As an ordinary user
sudo is used. On a system without apt the packages are named and the build goes on with what CMake finds.
JOBS=N limits how many compilers and tests run at once (default: one per processor).
TEXT
}

# --- packages ----------------------------------------------------------------------------------------------------

parallel() {
    printf '%s\n' "${JOBS:-$(nproc 2>/dev/null || echo 2)}"
}

installed() {
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# Arguments: package, or program:package where any provider of the program will do. Prints what is missing.
missing_packages() {
    local wanted
    for wanted in "$@"; do
        case $wanted in
        *:*) command -v "${wanted%%:*}" >/dev/null || printf '%s\n' "${wanted#*:}" ;;
        *) installed "$wanted" || printf '%s\n' "$wanted" ;;
        esac
    done
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif [ -t 0 ]; then
        sudo "$@"
    else
        sudo -n "$@"
    fi
}

# Installs what is missing of its arguments. Where it cannot, it says what is wanted and leaves the verdict to
# the build: the libraries may be there under other names.
need() {
    if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
        if [ -z "${told_packages:-}" ]; then
            say "no apt here; needed are what Debian calls: ${*//*:/}"
            say "going on with what is installed; CMake names what it does not find"
            told_packages=1
        fi
        return 0
    fi
    local missing
    mapfile -t missing < <(missing_packages "$@")
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
        say "not installed, and neither root nor sudo is here to install: ${missing[*]}"
        say "as root: apt-get install ${missing[*]}"
        say "going on with what is installed; CMake names what it does not find"
        return 0
    fi
    say "installing ${missing[*]}"
    as_root apt-get update -q || die "apt-get update failed; see its message above"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}" ||
        die "apt-get could not install ${missing[*]}; see its message above"
}

setup() {
    # Ninja or make will do; Ninja is asked for where neither is installed.
    local generator=ninja:ninja-build
    command -v make >/dev/null && generator=make:make
    need cmake:cmake cc:gcc c++:g++ python3:python3 "$generator" "${LIBRARIES[@]}"
}

# --- build and run -----------------------------------------------------------------------------------------------

# configure DIR [CMake options]: keeps the generator of an existing build directory.
configure() {
    local dir=$1
    shift
    command -v cmake >/dev/null || die "cmake is not installed"
    local generator=()
    if [ ! -f "$dir/CMakeCache.txt" ] && command -v ninja >/dev/null; then
        generator=(-G Ninja)
    fi
    cmake -S . -B "$dir" ${generator[@]+"${generator[@]}"} -DCMAKE_BUILD_TYPE=Release "$@" >/dev/null ||
        die "CMake could not configure $dir; its message is above"
}

build() {
    setup
    configure build
    cmake --build build --target layeval -j "$(parallel)"
    say "built build/layeval"
}

demo() {
    build
    rm -rf runs/demo
    mkdir -p runs/demo
    local arguments task system
    for task in "${TASKS[@]}"; do
        arguments=()
        for system in "${SYSTEMS[@]}"; do
            arguments+=(--system "data/demo/miniature/$task/$system.json")
        done
        say "evaluating ${SYSTEMS[*]} on $task"
        build/layeval run "${arguments[@]}" --task "$task" --lang available --data data/demo/miniature/data --out "runs/demo/$task"
    done
    printf '\n%s\n' "These systems live in a small world of their own, where they were trained (README, The miniature).
Results: runs/demo/*/results.csv; one run directory per system beside each."
}

miniature() {
    need spm_train:sentencepiece
    build
    command -v spm_train >/dev/null || die "spm_train is not installed (Debian package sentencepiece)"
    LAYEVAL=build/layeval data/miniature/train.sh runs/miniature
}

run_tests() {
    local dir=$1
    cmake --build "$dir" -j "$(parallel)" &&
        ctest --test-dir "$dir" -j "$(parallel)" --output-on-failure --no-tests=error
}

test_all() {
    setup
    local failed=()
    say "release build and tests"
    configure build
    run_tests build || failed+=(release)
    say "AddressSanitizer + UndefinedBehaviorSanitizer build and tests"
    configure build-asan -DLAYEVAL_SANITIZE=ON
    run_tests build-asan || failed+=(sanitizers)
    [ ${#failed[@]} = 0 ] || die "FAILED: ${failed[*]}"
    say "all tests passed, in the release build and under the sanitizers"
}

browser_test() {
    setup
    need chromium:chromium chromedriver:chromium-driver fonts-noto-core fonts-noto-cjk
    configure build
    cmake --build build -j "$(parallel)" --target layeval big_runs
    ctest --test-dir build -R html_browser --output-on-failure --no-tests=error
    LAYEVAL="$PWD/build/layeval" PYTHONPATH=tests/cli python3 tests/bench/bench_html.py
}

# Programs (tests/bench/bench_*.c) and scripts, which find the binary in $LAYEVAL.
bench() {
    setup
    configure build
    cmake --build build -j "$(parallel)"
    local source name
    for source in tests/bench/bench_*; do
        name=$(basename "$source")
        say "$name"
        case $name in
        *.c) "build/tests/${name%.c}" ;;
        *.py) LAYEVAL="$PWD/build/layeval" PYTHONPATH=tests/cli python3 "$source" ;;
        *.sh) LAYEVAL="$PWD/build/layeval" bash "$source" ;;
        esac
    done
}

# --- style -------------------------------------------------------------------------------------------------------

sources() {
    find engine tasks reports harness tests -name '*.[ch]' -o -name '*.cc' | sort
}

fmt() {
    need clang-format:clang-format
    sources | xargs clang-format -i
}

check() {
    setup
    need clang-format:clang-format clang-tidy:clang-tidy cppcheck:cppcheck
    configure build
    local failed=()
    say "clang-format"
    sources | xargs clang-format --dry-run --Werror || failed+=(clang-format)
    say "clang-tidy"
    # GCC's own warning options mean nothing to clang; the checks come from .clang-tidy.
    sources | grep -E '\.(c|cc)$' |
        xargs -P "$(parallel)" -n 4 clang-tidy --quiet -p build --extra-arg=-Wno-unknown-warning-option ||
        failed+=(clang-tidy)
    say "cppcheck"
    # varFuncNullUB: C's NULL is a pointer in glibc.
    cppcheck --quiet -j "$(parallel)" --std=c11 --enable=warning,performance,portability --inline-suppr \
        --suppress=varFuncNullUB --error-exitcode=1 -I . -D_GNU_SOURCE \
        engine tasks reports harness tests || failed+=(cppcheck)
    [ ${#failed[@]} = 0 ] || die "FAILED: ${failed[*]}"
    say "nothing to complain about"
}

case ${1:-help} in
setup | build | demo | miniature | bench | fmt | check)
    [ $# = 1 ] || die "\"$1\" takes no further arguments; ./dev.sh help"
    "$1"
    ;;
browser-test)
    [ $# = 1 ] || die "\"browser-test\" takes no further arguments; ./dev.sh help"
    browser_test
    ;;
test)
    [ $# = 1 ] || die "\"test\" takes no further arguments; ./dev.sh help"
    test_all
    ;;
help | --help | -h) help ;;
*) die "no command \"$1\"; ./dev.sh help lists them" ;;
esac
