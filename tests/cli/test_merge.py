"""`layeval run --shard` and `layeval merge`: the shards together are the whole run, byte for byte, or are refused by
name."""
import json
import os
import pathlib
import shutil
import subprocess
import unittest

from faults import inject

LAYEVAL = os.environ["LAYEVAL"]
ROOT = pathlib.Path(__file__).resolve().parents[2]
DEMO = ROOT / "data" / "demo"
SYSTEMS = ("plain", "langbridge", "mindmerger", "layalign")


def call(*words, timeout=300, **environment):
    return subprocess.run([LAYEVAL, *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          encoding="utf-8", timeout=timeout, check=False, env={**os.environ, **environment})


def contents(directory):
    return {str(path.relative_to(directory)): path.read_bytes() for path in sorted(directory.rglob("*"))
            if path.is_file() and path.name != "timing.json"}


def entries(directory):
    lines = (directory / "journal.jsonl").read_text(encoding="utf-8").splitlines()[1:]
    return [(e["task"], e["language"], e["doc_id"]) for e in map(json.loads, lines)]


class Base(unittest.TestCase):
    made = {}

    def setUp(self):
        self.dir = inject.scratch(self)

    def command(self, name, *more, systems=("layalign",), tasks="mgsm"):
        words = ["run", "--tasks", tasks, "--data", ROOT / "data" / "samples", "--threads", 1, "--max-new-tokens", 6,
                 "--quiet", "--out", self.dir / name]
        if "--lang" not in more:
            words += ["--lang", "available"]
        for system in systems:
            words += ["--system", DEMO / f"{system}.json"]
        return [*words, *more]

    def run_one(self, name, *more, systems=("layalign",), tasks="mgsm", **environment):
        result = call(*self.command(name, *more, systems=systems, tasks=tasks), **environment)
        self.assertEqual(result.returncode, 0, result.stderr)
        return self.dir / name

    def shards(self, count, *more, **keywords):
        """Made once for all tests of the class that ask for the same ones; each gets copies."""
        made = Base.made.get(key := (type(self), count, more, *sorted(map(str, keywords.items()))))
        if made is None:
            made = Base.made[key] = inject.scratch(type(self))
            for i in range(1, count + 1):
                self.run_one(made / f"{i}-of-{count}", "--shard", f"{i}/{count}", *more, **keywords)
        return [pathlib.Path(shutil.copytree(made / f"{i}-of-{count}", self.dir / f"{i}-of-{count}"))
                for i in range(1, count + 1)]

    def merge(self, shards, *more, name="merged"):
        return call("merge", *shards, "--out", self.dir / name, *more)

    def assert_merges(self, shards, whole, *more):
        result = self.merge(shards, *more)
        self.assertEqual(result.returncode, 0, result.stderr)
        merged, expected = contents(self.dir / "merged"), contents(whole)
        self.assertEqual(sorted(merged), sorted(expected))
        for name, content in expected.items():
            self.assertEqual(merged[name], content, name)
        return result

    def assert_refused(self, shards, *pieces, code=3):
        result = self.merge(shards)
        self.assertEqual(result.returncode, code, result.stderr)
        self.assertEqual(len(result.stderr.splitlines()), 1, result.stderr)
        for piece in pieces:
            self.assertIn(str(piece), result.stderr)
        self.assertFalse((self.dir / "merged" / "manifest.json").exists())


class Merge(Base):
    def test_all_methods_and_tasks_at_once(self):
        keywords = {"systems": SYSTEMS, "tasks": "mgsm,msvamp,x-csqa,xnli"}
        whole = self.run_one("whole", "--limit", "3", **keywords)
        shards = self.shards(3, "--limit", "3", **keywords)
        result = self.assert_merges([shards[2], shards[0], shards[1]], whole)
        self.assertIn("layalign", result.stdout)
        self.assertNotIn("shard", result.stdout)
        timing = json.loads((self.dir / "merged" / "plain" / "timing.json").read_text(encoding="utf-8"))
        self.assertEqual([session["shard"] for session in timing["sessions"]], ["1/3", "2/3", "3/3"])
        # and again, over what is there
        self.assert_merges(shards, whole)

    def test_official_batches_of_layalign_stay_whole(self):
        more = ("--official-batch", "3", "--limit", "7", "--lang", "bn,en")
        whole = self.run_one("whole", *more)
        shards = self.shards(2, *more)
        for shard in shards:
            for _, language, number in entries(shard):
                batch = {(language, i) for i in range(number // 3 * 3, min(number // 3 * 3 + 3, 7))}
                self.assertLessEqual(batch, {(lang, i) for _, lang, i in entries(shard)})
        self.assert_merges(shards, whole)

    def test_one_shard_and_no_samples_files(self):
        whole = self.run_one("whole", "--limit", "2", "--no-log-samples")
        self.assert_merges(self.shards(1, "--limit", "2"), whole, "--no-log-samples")

    def test_the_limit_applies_before(self):
        shards = self.shards(2, "--limit", "3", "--lang", "en")
        self.assertEqual(sorted(entries(shards[0]) + entries(shards[1])), [("mgsm", "en", i) for i in range(3)])

    def test_a_killed_shard_is_resumed_and_then_merged(self):
        whole = self.run_one("whole", "--lang", "en")
        shards = [self.run_one("1-of-2", "--shard", "1/2", "--lang", "en"), self.dir / "2-of-2"]
        killed = inject.layeval(*self.command("2-of-2", "--shard", "2/2", "--lang", "en"), mode="torn", fault=5)
        self.assertEqual(killed.returncode, inject.KILLED)
        self.assertIn("fault: write", killed.stderr)  # a line of the journal
        self.assert_refused(shards, shards[1], "2/2 is not finished", "of 4 samples are there", "repeat the command")
        self.run_one("2-of-2", "--shard", "2/2", "--lang", "en")
        self.assert_merges(shards, whole)


class Shard(Base):
    def test_results_of_a_shard_say_so(self):
        shard = self.shards(2, "--limit", "2", "--lang", "en")[1]
        rows = (shard / "results.csv").read_text(encoding="utf-8").splitlines()[1:]
        self.assertTrue(all(row.startswith("layalign [shard 2/2],mgsm,") for row in rows), rows)
        results = json.loads((shard / "results.json").read_text(encoding="utf-8"))
        self.assertEqual(results["layeval"]["systems"]["layalign [shard 2/2]"]["shard"],
                         {"index": 2, "count": 2, "samples": 1})
        self.assertFalse((shard / "paper").exists())  # its layout cannot say so
        scored = call("score", shard)
        self.assertEqual((scored.returncode, scored.stderr), (0, ""))  # nothing is missing
        self.assertIn("layalign [shard 2/2]", scored.stdout)

    def test_a_shard_goes_on_as_itself_only(self):
        shard = self.shards(2, "--limit", "2", "--lang", "en")[0]
        for more in ((), ("--shard", "2/2"), ("--shard", "1/1")):
            result = call(*self.command("1-of-2", "--limit", "2", "--lang", "en", *more))
            self.assertEqual(result.returncode, 3, result.stderr)
            self.assertIn(f"{shard}: holds another run", result.stderr)
            self.assertIn("shard", result.stderr)
        again = call(*self.command("1-of-2", "--limit", "2", "--lang", "en", "--shard", "1/2"))
        self.assertEqual(again.returncode, 0, again.stderr)

    def test_the_plan_shows_the_share(self):
        result = call(*self.command("none", "--lang", "en", "--shard", "1/2", "--dry-run"))
        self.assertIn("1 of 2", result.stdout)
        self.assertRegex(result.stdout, "4 samples for each of 1 systems")

    def test_bad_shards_are_usage_errors(self):
        for text, piece in (("3/2", "2/4"), ("x", "2/4"), ("1/99", "only 8 samples")):
            result = call(*self.command("bad", "--lang", "en", "--shard", text))
            self.assertEqual(result.returncode, 2, result.stderr)
            self.assertIn(piece, result.stderr)
            self.assertFalse((self.dir / "bad").exists())


class Refused(Base):
    SMALL = ("--limit", "2", "--lang", "en,bn")

    def test_missing_and_duplicate_and_incomparable_shards(self):
        shards = self.shards(3, *self.SMALL)
        self.assert_refused(shards[:2], "missing: 3/3")
        self.assert_refused(shards[1:2], "missing: 1/3 3/3")
        copy = self.dir / "copy"
        shutil.copytree(shards[1], copy)
        self.assert_refused([*shards, copy], shards[1], copy, "both are shard 2/3")
        other = self.run_one("other", "--shard", "1/2", *self.SMALL)
        self.assert_refused([shards[0], other], other, "is shard 1/2", "is shard 1/3")

    def test_what_is_no_shard(self):
        shards = self.shards(2, *self.SMALL)
        whole = self.run_one("whole", *self.SMALL)
        self.assert_refused([shards[0], whole], f"{whole}: is not a shard")
        self.assert_refused([shards[0], self.dir / "nowhere"], "nowhere: no such directory")
        self.assert_refused([], "name the directories", code=2)
        self.assertEqual(call("merge", *shards).returncode, 2)
        (shards[1] / "manifest.json").unlink()
        self.assert_refused(shards, "no manifest.json in it")

    def test_foreign_shards_with_the_keys(self):
        shards = self.shards(2, *self.SMALL)
        for more, key in ((("--dtype", "f32"), 'dtype (there "bf16", here "f32")'),
                          (("--max-new-tokens", "5"), "generation.max_new_tokens (there 6, here 5)"),
                          (("--match", "float-eq"), "match (")):
            other = self.run_one(key.split()[0], "--shard", "2/2", *self.SMALL, *more)
            self.assert_refused([shards[0], other], f"{other}: is of another run than {shards[0]}", key)

    def test_another_instruction_set_or_a_changed_manifest(self):
        shards = self.shards(2, *self.SMALL)
        other = self.run_one("sse", "--shard", "2/2", *self.SMALL, ONEDNN_MAX_CPU_ISA="SSE41")
        self.assert_refused([shards[0], other], other, "isa (there ")
        path = shards[1] / "manifest.json"
        manifest = json.loads(path.read_text(encoding="utf-8"))
        path.write_text(json.dumps({**manifest, "isa": "other"}), encoding="utf-8")
        self.assert_refused([shards[0], shards[1]], shards[1], "belongs to another manifest.json")

    def test_an_unfinished_shard(self):
        shards = self.shards(2, *self.SMALL)
        journal = shards[1] / "journal.jsonl"
        journal.write_bytes(journal.read_bytes()[:-5])
        self.assert_refused(shards, shards[1], "shard 2/2 is not finished, 1 of 2 samples", "repeat the command")

    def test_systems_of_one_shard_only(self):
        both = self.run_one("both", "--shard", "1/2", *self.SMALL, systems=("plain", "layalign"))
        one = self.run_one("one", "--shard", "2/2", *self.SMALL, systems=("plain",))
        self.assert_refused([both, one], one, "one system", both, "several")
        other = self.run_one("other", "--shard", "2/2", *self.SMALL, systems=("plain", "mindmerger"))
        self.assert_refused([both, other], f"{other}: has no system layalign")

    def test_the_output_must_be_free(self):
        shards = self.shards(2, *self.SMALL)
        whole = self.run_one("whole", "--lang", "en", "--limit", "1")
        before = contents(whole)
        result = self.merge(shards, name="whole")
        self.assertEqual(result.returncode, 3)
        self.assertIn("holds another run", result.stderr)
        self.assertEqual(contents(whole), before)
        before = contents(shards[0])
        result = self.merge(shards, name="1-of-2")
        self.assertEqual(result.returncode, 3)
        self.assertIn("shard (there {", result.stderr)
        self.assertEqual(contents(shards[0]), before)


if __name__ == "__main__":
    unittest.main()
