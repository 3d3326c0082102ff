"""data/fetch.sh without a network: a stand-in for curl answers."""
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
FETCH = ROOT / "data" / "fetch.sh"
SHARED = pathlib.Path(os.environ.get("LAYEVAL_SHARED", ROOT.parent / "shared")) / "real" / "datasets"

# $SERVE/<last part of the URL> is what the network holds; $CURL_EXIT makes it fail.
CURL = """#!/bin/sh
[ -z "$CURL_EXIT" ] || exit "$CURL_EXIT"
while [ $# -gt 1 ]; do
  [ "$1" != --output ] || out=$2
  shift
done
echo "$1" >> "$SERVE/asked"
cp "$SERVE/$(basename "$1")" "$out" 2>/dev/null || exit 22
"""
TOOLS = "bash sh cat cut sha256sum mkdir mktemp mv rm rmdir basename cp dirname env python3 unzip".split()


class Fetch(unittest.TestCase):
    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="layeval-fetch-"))
        self.addCleanup(shutil.rmtree, self.dir)
        self.bin, self.serve, self.out = (self.dir / name for name in ("bin", "serve", "out"))
        self.bin.mkdir()
        self.serve.mkdir()
        for tool in TOOLS:
            if shutil.which(tool):
                (self.bin / tool).symlink_to(shutil.which(tool))
        self.set_tool("curl", CURL)

    def set_tool(self, name, text):
        path = self.bin / name
        path.write_text(text)
        path.chmod(0o755)

    def fetch(self, *arguments, script=FETCH, **env):
        return subprocess.run(
            ["bash", script, *arguments], capture_output=True, text=True, timeout=60,
            env={"PATH": str(self.bin), "SERVE": str(self.serve), **env})

    def nothing_left(self):
        return [p for p in self.out.rglob("*") if p.is_file() or p.name.startswith(".")] if self.out.exists() else []

    def script_with(self, **sums):
        """The script with other recorded sums, as if the network's archives were the ones it knows."""
        lines = FETCH.read_text().splitlines(keepends=True)
        for i, line in enumerate(lines):
            for name, value in sums.items():
                if line.startswith(f"readonly {name}="):
                    lines[i] = f"readonly {name}={value}\n"
        path = self.dir / "fetch.sh"
        path.write_text("".join(lines))
        return path

    def test_help_names_every_task_and_exits_0(self):
        run = self.fetch("--help")
        self.assertEqual(run.returncode, 0)
        for word in ("mgsm", "msvamp", "x-csqa", "xnli", "--out"):
            self.assertIn(word, run.stdout)

    def test_usage_errors_exit_2(self):
        for arguments in ((), ("squad",), ("--out",), ("mgsm", "--force")):
            self.assertEqual(self.fetch(*arguments).returncode, 2, arguments)

    def test_no_network_is_said_and_nothing_is_left(self):
        for task in ("mgsm", "msvamp", "x-csqa", "xnli", "all"):
            run = self.fetch(task, "--out", str(self.out), CURL_EXIT="6")
            self.assertEqual(run.returncode, 3)
            self.assertIn("no network", run.stderr)
            self.assertEqual(self.nothing_left(), [])

    def test_a_missing_downloader_is_named(self):
        (self.bin / "curl").unlink()
        run = self.fetch("mgsm", "--out", str(self.out))
        self.assertEqual(run.returncode, 3)
        self.assertIn("curl", run.stderr)
        self.assertIn("apt-get install", run.stderr)

    def test_wget_does_when_curl_is_missing(self):
        (self.bin / "curl").unlink()
        self.set_tool("wget", "#!/bin/sh\nexit 4\n")
        run = self.fetch("mgsm", "--out", str(self.out))
        self.assertEqual(run.returncode, 3)
        self.assertIn("no network", run.stderr)

    def test_a_file_that_is_gone_is_not_called_a_network_fault(self):
        run = self.fetch("msvamp", "--out", str(self.out))
        self.assertEqual(run.returncode, 3)
        self.assertNotIn("no network", run.stderr)
        self.assertIn("test_Bengali.json", run.stderr)

    def test_a_changed_file_is_refused_and_not_kept(self):
        for name in ("mgsm_bn.tsv", "XNLI-1.0.zip", "xcsr_datasets.zip"):
            (self.serve / name).write_text("something else\n")
        for task in ("mgsm", "xnli", "x-csqa"):
            run = self.fetch(task, "--out", str(self.out))
            self.assertEqual(run.returncode, 3)
            self.assertIn("SHA-256", run.stderr)
            self.assertEqual(self.nothing_left(), [])

    def test_archives_become_the_layout_that_is_read(self):
        rows = b"language\tgold_label\nrow\n"
        with zipfile.ZipFile(self.serve / "XNLI-1.0.zip", "w") as archive:
            archive.writestr("XNLI-1.0/xnli.test.tsv", rows)
        languages = "ar de en es fr hi it jap nl pl pt ru sw ur vi zh".split()
        with zipfile.ZipFile(self.serve / "xcsr_datasets.zip", "w") as archive:
            for language in languages:
                archive.writestr(f"X-CSR_datasets/X-CSQA/{language}/dev.jsonl", language)
        script = self.script_with(**{
            "XNLI_SHA": hashlib.sha256((self.serve / "XNLI-1.0.zip").read_bytes()).hexdigest(),
            "XCSR_SHA": hashlib.sha256((self.serve / "xcsr_datasets.zip").read_bytes()).hexdigest()})
        run = self.fetch("xnli", "x-csqa", f"--out={self.out}", script=script)
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual((self.out / "xnli" / "xnli.test.tsv").read_bytes(), rows)
        for language in languages:
            self.assertEqual((self.out / "x-csqa" / language / "dev.jsonl").read_text(), language)

    def test_the_real_files_pass_and_are_kept_the_second_time(self):
        if not SHARED.is_dir():
            self.skipTest(f"{SHARED} is not there; set LAYEVAL_SHARED")
        for path in [*SHARED.glob("mgsm/*.tsv"), *SHARED.glob("mgsm/mathoctopus/*.json"), *SHARED.glob("msvamp/*.json")]:
            shutil.copy(path, self.serve)
        for _ in range(2):
            run = self.fetch("mgsm", "mgsm-json", "msvamp", "--out", str(self.out))
            self.assertEqual(run.returncode, 0, run.stderr)
        for folder, count in (("mgsm", 11), ("mgsm-json", 11), ("msvamp", 10)):
            self.assertEqual(len(list((self.out / folder).iterdir())), count)
        self.assertEqual(len((self.serve / "asked").read_text().split()), 32)  # once each
        (self.out / "msvamp" / "test_Thai.json").write_text("damaged")
        self.assertEqual(self.fetch("msvamp", "--out", str(self.out)).returncode, 0)
        self.assertEqual((self.out / "msvamp" / "test_Thai.json").read_bytes(),
                         (SHARED / "msvamp" / "test_Thai.json").read_bytes())


if __name__ == "__main__":
    sys.exit(0 if unittest.main(exit=False).result.wasSuccessful() else 1)
