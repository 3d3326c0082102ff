"""An installed tree stands on its own: binary, data found relative to it wherever it is moved, man page."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

LAYEVAL = pathlib.Path(os.environ["LAYEVAL"])
BUILD = LAYEVAL.parent


class Install(unittest.TestCase):
    def test_installed_tree_works_from_anywhere(self):
        if not (BUILD / "cmake_install.cmake").exists() or not shutil.which("cmake"):
            self.skipTest("the binary is not in a CMake build directory")
        with tempfile.TemporaryDirectory() as scratch:
            prefix = pathlib.Path(scratch, "prefix")
            subprocess.run(["cmake", "--install", BUILD, "--prefix", prefix], check=True, stdout=subprocess.DEVNULL)
            self.assertTrue((prefix / "share/man/man1/layeval.1").exists())
            moved = pathlib.Path(scratch, "moved")
            prefix.rename(moved)
            data = moved / "share/layeval"
            for name in ("languages.json", "prompts/mindmerger.json", "samples/mgsm", "demo/plain.json", "fetch.sh"):
                self.assertTrue((data / name).exists(), name)
            self.assertTrue(os.access(data / "fetch.sh", os.X_OK))

            environment = {name: value for name, value in os.environ.items() if name != "LAYEVAL_DATA"}

            def tasks():
                return subprocess.run([moved / "bin/layeval", "tasks"], cwd=scratch, env=environment, text=True,
                                      encoding="utf-8", capture_output=True, check=False)

            result = tasks()
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertIn("mgsm", result.stdout)
            # It reads the data beside it and not the source tree's: a broken copy there is noticed and named.
            (data / "languages.json").write_text("{")
            result = tasks()
            self.assertEqual(result.returncode, 3, result.stderr)
            self.assertIn("languages.json", result.stderr)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]])
