#!/usr/bin/env bash
# Compiles the LaTeX of a report. By hand, because TeX Live is large:
#   apt-get install texlive-latex-base texlive-latex-recommended
#   LAYEVAL=build/layeval tests/latex/check.sh RUN... [report options]
set -euo pipefail
command -v pdflatex >/dev/null || {
    echo "check.sh: pdflatex is not installed: apt-get install texlive-latex-base texlive-latex-recommended" >&2
    exit 77
}
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
"${LAYEVAL:-build/layeval}" report "$@" --format latex --out "$folder/table.tex"
cat >"$folder/page.tex" <<'TEX'
\documentclass{article}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\usepackage[landscape,margin=1cm]{geometry}
\usepackage{booktabs}
\begin{document}
\input{table.tex}
\end{document}
TEX
cd "$folder"
if ! pdflatex -interaction=nonstopmode -halt-on-error page.tex >page.out 2>&1; then
    grep -A 4 '^!' page.out >&2
    exit 1
fi
grep -q 'Output written on page.pdf' page.out
echo "check.sh: page.pdf compiles: $(grep -o '[0-9]* pages\?, [0-9]* bytes' page.out)"
