"""Reports for the tests of the HTML report, and an independent reader of what is packed in them."""
import base64
import html.parser
import json
import os
import pathlib
import subprocess
import zlib

LAYEVAL = os.environ["LAYEVAL"]
ROOT = pathlib.Path(__file__).resolve().parents[2]
SYSTEMS = ["layalign", "mindmerger", "plain"]
HOSTILE = "</script><script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'><!-- &amp; \x01"


def layeval(*arguments):
    result = subprocess.run([LAYEVAL, *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                            encoding="utf-8", check=False)
    if result.returncode:
        raise AssertionError(f"{arguments}: exit {result.returncode}: {result.stderr}")
    return result


def report(page, *arguments):
    layeval("report", *arguments, "--format", "html", "--out", page)
    return page


def demo_runs(folder):
    """Three demo systems on all tasks: Bengali, Thai, Chinese, Arabic and more, with random answers."""
    systems = [part for name in SYSTEMS for part in ("--system", ROOT / f"data/demo/{name}.json")]
    layeval("run", *systems, "--task", "mgsm,x-csqa,xnli", "--lang", "available", "--data", ROOT / "data/samples",
            "--limit", 2, "--max-new-tokens", 8, "--out", folder, "--quiet")
    return folder


def hostile_run(folder):
    lines = [{"output": HOSTILE, "target": "18", "question": HOSTILE, "prompt": f"Q: {HOSTILE}"},
             {"output": "The answer is 18", "target": "18", "question": "আম", "prompt": "Q: আম"}]
    file = folder.parent / "generations.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    layeval("score", "--task", "mgsm", "--lang", "bn", "--generations", file, "--name", "evil+1.-_", "--out", folder)
    return folder


class Page(html.parser.HTMLParser):
    """Tags, ids and scripts of a page as a browser would find them."""

    def __init__(self, path):
        super().__init__(convert_charrefs=True)
        self.tags, self.ids, self.scripts, self.text = [], [], [], []
        self.open_script = None
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        if "id" in attributes:
            self.ids.append(attributes["id"])
        if tag == "script":
            self.open_script = attributes
            self.scripts.append((attributes, ""))

    def handle_endtag(self, tag):
        if tag == "script":
            self.open_script = None

    def handle_data(self, data):
        if self.open_script is None:
            self.text.append(data)
        else:
            attributes, text = self.scripts.pop()
            self.scripts.append((attributes, text + data))

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]

    def samples(self):
        """Yields (cell, fields of the searched part, fields of the rest, [flags per system])."""
        packed = [zlib.decompress(base64.b64decode(text)) for attributes, text in self.scripts
                  if attributes.get("class") == "samples"]
        index = json.loads(next(text for attributes, text in self.scripts if attributes.get("id") == "sample-index"))
        flags, rows = packed[0], b"".join(packed[1:]).decode("utf-8").split("\x1e")[:-1]
        count = sum(index["blocks"])
        assert len(rows) == count and len(flags) == count * len(index["systems"])
        row = 0
        for cell in index["cells"]:
            for _ in range(cell["rows"]):
                searched, rest = rows[row].split("\x1d")
                yield (cell, searched.split("\x1f"), rest.split("\x1f"), flags[row::count])
                row += 1
        assert row == count
