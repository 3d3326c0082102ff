"""What tests of commands that read finished runs or generated texts share."""
import os
import pathlib
import subprocess
import tempfile
import unittest

LAYEVAL = os.environ["LAYEVAL"]
FAILED = 1  # a gate that fails still prints its checks; any higher code is a refusal


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.dir = pathlib.Path(folder.name)

    def layeval(self, *arguments, code=0, env=None):
        """Exits with the code; a refusal is one line on standard error and nothing on standard output."""
        result = subprocess.run([LAYEVAL, *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True,
                                text=True, encoding="utf-8", check=False, env=env)
        self.assertEqual(result.returncode, code, result.stdout + result.stderr)
        if code > FAILED:
            self.assertEqual(result.stdout, "")
            self.assertEqual(len(result.stderr.splitlines()), 1, result.stderr)
        return result
