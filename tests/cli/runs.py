"""Run directories with chosen answers, for the commands that read finished runs."""
import json
import os
import pathlib
import subprocess


def answers(pattern, target="18", wrong="19"):
    """One answer a letter: R right, W wrong, U without a number, E ended in an error."""
    texts = {"R": f"The answer is {target}", "W": f"The answer is {wrong}", "U": "no idea", "E": ""}
    return [{"doc_id": i, "doc": {"question": f"question {i}"}, "target": target, "output": texts[letter],
             "ended": "error" if letter == "E" else "eos", **({"error": "it broke"} if letter == "E" else {})} for i, letter in enumerate(pattern)]


def make_run(folder, name, tasks, promised=None, sealed=True, match="tolerance", method="plain"):
    """`tasks` is {task: {language: pattern or list of answers}}; `promised` {(task, language): n} where the manifest
    names more samples than were answered. Returns the directory."""
    promised = promised or {}
    entries, listed = [], []
    for task, languages in tasks.items():
        data = []
        for language, cell in languages.items():
            cell = answers(cell) if isinstance(cell, str) else cell
            entries += [{"task": task, "language": language, **answer} for answer in cell]
            data.append({"language": language, "n": promised.get((task, language), len(cell)), "file": "data.tsv"})
        listed.append({"task": task, "version": 1, "languages": data})
    manifest = {"layeval": "test", "system": {"name": name, "method": method}, "match": match, "tasks": listed}
    spec = {"manifest": manifest, "sealed": sealed, "entries": entries}
    subprocess.run([os.environ["LAYEVAL_MAKE_RUN"], str(folder)], input=json.dumps(spec).encode(), check=True)
    return pathlib.Path(folder)
