"""layeval run --cache: the second start maps what the first one packed; whatever is wrong with a copy, results are right."""

import filecmp
import os
import pathlib
import resource
import shutil
import subprocess
import tempfile
import unittest

LAYEVAL = os.environ["LAYEVAL"]
ROOT = pathlib.Path(__file__).resolve().parents[2]
DEMO = ROOT / "data" / "demo"
SAMPLES = ROOT / "data" / "samples"


class Cache(unittest.TestCase):
    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.dir)
        self.cache = self.dir / "cache"
        self.runs = 0

    def run_system(self, *arguments, system=DEMO / "layalign.json", cache=True, limits=None):
        self.runs += 1
        out = self.dir / f"run{self.runs}"
        result = subprocess.run(
            [LAYEVAL, "run", "--system", str(system), "--task", "mgsm", "--lang", "en,bn", "--limit", "1",
             "--max-new-tokens", "8", "--data", str(SAMPLES), "--out", str(out),
             *(["--cache", str(self.cache)] if cache else []), *arguments],
            capture_output=True, text=True, timeout=120, check=False, preexec_fn=limits)
        self.assertEqual(result.returncode, 0, result.stderr)
        return out, [line for line in result.stderr.splitlines() if line.startswith("packed cache: ")]

    def assert_same(self, a, b):
        names = [p.name for p in a.iterdir() if p.is_file() and p.name != "timing.json"]
        self.assertIn("manifest.json", names)
        _, differing, missing = filecmp.cmpfiles(a, b, names, shallow=False)
        self.assertEqual((differing, missing), ([], []))

    def copies(self):
        self.assertFalse(list(self.cache.glob("*.tmp-*")))
        return sorted(self.cache.glob("*.packed"))

    def test_the_second_start_maps_and_changes_no_byte(self):
        for dtype in ("f32", "bf16", "int8"):
            plain, notes = self.run_system("--dtype", dtype, cache=False)
            self.assertEqual(notes, [])
            first, notes = self.run_system("--dtype", dtype)
            self.assertEqual(notes, [])
            second, notes = self.run_system("--dtype", dtype)
            self.assertEqual([n.split()[2:5] for n in notes],
                             [[part, "mapped", "from"] for part in ("encoder", "bridge", "llm")])
            self.assert_same(plain, first)
            self.assert_same(plain, second)
        self.assertEqual(len(self.copies()), 9)
        # parts are shared between systems: the LLM of plain is not the bridge's copy, but has its own entry once
        self.run_system(system=DEMO / "plain.json")
        _, notes = self.run_system(system=DEMO / "plain.json")
        self.assertEqual(len(notes), 1)

    def test_damaged_cut_off_and_foreign_copies_are_packed_again(self):
        right, _ = self.run_system()
        before = {p: p.read_bytes() for p in self.copies()}
        llm = next(p for p in before if p.name.startswith("llm-"))
        encoder = next(p for p in before if p.name.startswith("encoder-"))
        whole = before[llm]

        def changed(at):
            return whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1:]

        for damage in (changed(0), changed(4096 + 200), changed(len(whole) // 2), changed(len(whole) - 70),
                       whole[:-1], whole[:len(whole) // 2], whole[:4096], b"", b"nonsense" * 100, before[encoder]):
            llm.write_bytes(damage)
            out, notes = self.run_system()
            # a byte between two blocks belongs to nothing
            again = [n for n in notes if n.endswith("packing the weights again")]
            self.assertLessEqual(len(again), 1)
            self.assertEqual(len(notes), 3)
            self.assert_same(right, out)
            if again:
                self.assertEqual(llm.read_bytes(), whole)
            else:
                self.assertEqual(damage, changed(len(whole) // 2))

    def test_changed_weights_get_a_copy_of_their_own(self):
        model = self.dir / "demo"
        shutil.copytree(DEMO, model)
        system = model / "plain.json"
        first, _ = self.run_system(system=system)
        self.assertEqual(len(self.copies()), 1)
        weights = next(p for p in (model / "llm").iterdir() if p.suffix in (".safetensors", ".bin"))
        data = bytearray(weights.read_bytes())
        data[-3] ^= 1  # the mantissa of the last number: same size, still finite
        times = weights.stat()
        weights.write_bytes(data)
        os.utime(weights, ns=(times.st_atime_ns, times.st_mtime_ns))  # as a careless copy would have it
        second, notes = self.run_system(system=system)
        self.assertEqual(notes, [])
        self.assertEqual(len(self.copies()), 2)
        self.assertFalse(filecmp.cmp(first / "manifest.json", second / "manifest.json", shallow=False))

    def test_a_cache_that_cannot_be_written_is_one_line_and_the_run_goes_on(self):
        right, _ = self.run_system(cache=False)
        self.cache.write_text("a file")
        out, notes = self.run_system()
        self.assertEqual(len(notes), 3)
        self.assertTrue(all(n.endswith("no copy is kept, the run goes on") for n in notes))
        self.assert_same(right, out)
        self.cache.unlink()
        out, notes = self.run_system(limits=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100000, 100000)))
        self.assertGreaterEqual(len(notes), 1)
        self.assertTrue(all(n.endswith("no copy is kept, the run goes on") for n in notes))
        self.assert_same(right, out)
        self.assertEqual([p.stat().st_size > 100000 for p in self.copies()], [False] * (3 - len(notes)))


if __name__ == "__main__":
    unittest.main()
