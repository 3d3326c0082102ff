"""layeval tokenize on the bundled demo tokenizers."""
import json
import os
import subprocess
import sys
import tempfile
import unittest

LAYEVAL = os.environ.get("LAYEVAL", "build/layeval")
LLM, ENCODER = "data/demo/llm", "data/demo/encoder"


def run(*arguments, stdin=""):
    return subprocess.run([LAYEVAL, "tokenize", *arguments], input=stdin.encode(), capture_output=True, timeout=60)


def tokenize(*arguments, stdin=""):
    result = run(*arguments, stdin=stdin)
    assert result.returncode == 0, result.stderr.decode()
    return result.stdout.decode()


class Tokenize(unittest.TestCase):
    def test_one_line_per_token(self):
        lines = tokenize("--model", LLM, "--text", "12").splitlines()
        pieces = [line.split("\t")[1] for line in lines]
        self.assertEqual(pieces, ["<s>", "▁", "1", "2"])
        self.assertTrue(lines[0].startswith("1\t"))

    def test_json_agrees_with_lines(self):
        text = "আনার কাছে ১২টি আপেল"
        answer = json.loads(tokenize("--model", ENCODER, "--text", text, "--json"))
        lines = tokenize("--model", ENCODER, "--text", text).splitlines()
        self.assertEqual(lines, ["%d\t%s" % pair for pair in zip(answer["ids"], answer["pieces"])])
        self.assertEqual(answer["convention"], "t5")
        self.assertEqual(answer["pieces"][-1], "</s>")
        self.assertEqual("".join(answer["pieces"][:-1]).replace("▁", " ").strip(), text)

    def test_no_special_leaves_out_bos_and_eos(self):
        for model in LLM, ENCODER:
            with_special = json.loads(tokenize("--model", model, "--text", "a", "--json"))["ids"]
            without = json.loads(tokenize("--model", model, "--text", "a", "--json", "--no_special"))["ids"]
            self.assertEqual(len(with_special), len(without) + 1)

    def test_file_and_stdin_lose_one_newline(self):
        by_option = tokenize("--model", LLM, "--text", "zwei\nZeilen")
        self.assertEqual(tokenize("--model", LLM, stdin="zwei\nZeilen\n"), by_option)
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
            file.write("zwei\nZeilen\n")
            file.flush()
            self.assertEqual(tokenize("--model", LLM, "--file", file.name), by_option)

    def test_decode_turns_ids_back(self):
        text = "Πόσα μήλα 12, 中文?\n"
        ids = json.loads(tokenize("--model", LLM, "--text", text, "--json"))["ids"]
        self.assertEqual(tokenize("--model", LLM, "--decode", "--text", " ".join(map(str, ids))), text + "\n")
        self.assertEqual(json.loads(tokenize("--model", LLM, "--decode", "--json",
                                             stdin=",".join(map(str, ids)))), {"text": text})

    def test_help_has_examples(self):
        self.assertIn("Examples:", tokenize("--help"))

    def refused(self, code, words, *arguments, stdin=""):
        result = run(*arguments, stdin=stdin)
        self.assertEqual(result.returncode, code, result.stderr)
        self.assertEqual(result.stdout, b"")
        message = result.stderr.decode()
        self.assertEqual(message.count("\n"), 1)
        for word in words:
            self.assertIn(word, message)

    def test_usage_errors(self):
        self.refused(2, ["--model"])
        self.refused(2, ["--nonsense"], "--model", LLM, "--nonsense")
        self.refused(2, ["--text", "--file"], "--model", LLM, "--text", "a", "--file", "b")
        self.refused(2, ["--language", "llama"], "--model", LLM, "--language", "ben_Beng", "--text", "a")

    def test_input_errors(self):
        self.refused(3, ["/nonexistent"], "--model", "/nonexistent", "--text", "a")
        self.refused(3, ["2048"], "--model", LLM, "--decode", "--text", "1 99999")
        self.refused(3, ["\"x\""], "--model", LLM, "--decode", "--text", "x")
        with tempfile.TemporaryDirectory() as directory:
            with open(os.path.join(directory, "tokenizer.json"), "w") as file:
                file.write("{}")
            self.refused(3, [directory, "SentencePiece model not found"], "--model", directory, "--text", "a")
        with tempfile.NamedTemporaryFile() as file:
            file.write(b"a\xff")
            file.flush()
            self.refused(3, ["UTF-8"], "--model", LLM, "--file", file.name)


if __name__ == "__main__":
    if not os.path.exists(LAYEVAL):
        print("skipped: no binary at", LAYEVAL)
        sys.exit(77)
    unittest.main()
