"""README.md and the man page name every command and every option that --help shows, and nothing that is gone."""
import os
import pathlib
import re
import subprocess
import sys
import unittest

LAYEVAL = os.environ["LAYEVAL"]
ROOT = pathlib.Path(__file__).resolve().parents[2]


def run(*arguments):
    return subprocess.run([LAYEVAL, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          encoding="utf-8", check=False)


def commands():
    return re.findall(r"^  ([a-z][a-z-]*) +\S", run("help").stdout, re.M)


def options(command):
    """Options and their other names, as --help shows them: `  --name VALUE  help (also --alias)`."""
    text = run(command, "--help").stdout
    return set(re.findall(r"^  (--[a-z][a-z0-9-]*)", text, re.M)) | set(re.findall(r"\(also (--[a-z][a-z0-9-]*)\)", text))


class Documentation(unittest.TestCase):
    def setUp(self):
        self.readme = (ROOT / "README.md").read_text(encoding="utf-8")
        self.manual = (ROOT / "harness" / "layeval.1").read_text(encoding="utf-8").replace("\\-", "-")

    def test_help_succeeds_for_every_command_and_shows_options(self):
        self.assertGreaterEqual(len(commands()), 8)
        for command in commands():
            result = run(command, "--help")
            self.assertEqual(result.returncode, 0, command)
            self.assertEqual(result.stderr, "", command)
        self.assertIn("--system", options("run"))

    def test_every_option_is_in_readme_and_manual(self):
        for command in commands():
            self.assertTrue(f"layeval {command}" in self.readme, f"{command}: not in README.md")
            self.assertTrue(f"layeval {command}" in self.manual, f"{command}: not in layeval.1")
            for option in sorted(options(command)):
                for name, text in (("README.md", self.readme), ("layeval.1", self.manual)):
                    found = re.search(re.escape(option) + r"(?![a-z0-9-])", text)
                    self.assertTrue(found, f"{command} {option}: not in {name}")

    def test_readme_and_manual_name_no_option_that_does_not_exist(self):
        known = {"--help", "--version"}.union(*(options(command) for command in commands()))
        manual = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", self.manual))
        self.assertEqual(manual - known, set(), "layeval.1")
        # In README only what is said of layeval itself: lines that call it, and its option tables.
        readme = set()
        for line in self.readme.splitlines():
            if re.match(r"(\| `--|\s*(build/)?layeval )", line):
                readme.update(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", line))
        self.assertEqual(readme - known, set(), "README.md")

    def test_version_is_the_one_of_cmake(self):
        project = re.search(r"project\(layeval VERSION ([0-9.]+)", (ROOT / "CMakeLists.txt").read_text())
        self.assertEqual(run("--version").stdout.splitlines()[0], "layeval " + project.group(1))
        self.assertIn("layeval " + project.group(1), self.manual)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]])
