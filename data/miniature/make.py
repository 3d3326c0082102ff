#!/usr/bin/env python3
"""Makes the data of the miniature: a small world of people, things and small numbers in six languages.

    python3 data/miniature/make.py --out DIR [--seed N] [--scale X]

writes in the layouts of the official files (README, "The miniature"):

    DIR/train/query_translation/metamath_615k.json   arithmetic word problems, answers worked in English
    DIR/train/query_translation/x-csqa/train_XX.jsonl, xnli_dev.json
    DIR/train/bilingual_pairs/en-XX/train_100k.XX, train_100k.en   (en-en: English to English)
    DIR/test/mgsm/mgsm_XX.tsv, DIR/test/x-csqa/XX/dev.jsonl, DIR/test/xnli/test-XX.tsv   held out, parallel
    DIR/corpus/llm.txt, DIR/corpus/encoder.txt       what the two SentencePiece models are trained on

An item is made once, as facts, and then said in a language by the sentences of languages/XX.json. No item of
the test files, whatever its language, occurs in a training file. Low-resource languages have fewer
translation pairs and no task data at all. Nothing but Python's standard library is needed; the same seed
gives the same files.
"""
import argparse
import json
import os
import random
import re

HERE = os.path.dirname(os.path.abspath(__file__))
TASKS_OF = {"x-csqa": ("de", "en", "es", "sw"), "xnli": ("de", "en", "es", "sw", "th")}  # as in the benchmarks

# Items of each kind: English is what the LLM learns from, the others what bridges learn from.
TRAIN = {
    "math": {"en": 24000, "high": 4000, "low": 0},
    "x-csqa": {"en": 12000, "high": 1000, "low": 0},
    "xnli": {"en": 12000, "high": 1000, "low": 0},
    "pairs": {"en": 12000, "high": 8000, "low": 4000},
}
TEST = {"math": 250, "x-csqa": 120, "xnli": 120}
CORPUS_LINES = {"en": 4000, "high": 2000, "low": 2000}
CHARACTER_LINES = 100  # of every other language in the LLM's corpus: it knows their letters, not their words
NUMBERS = range(2, 13)
GAIN, LOSS = ("get", "find", "buy"), ("give", "lose", "sell")


class Language:
    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            self.__dict__.update(json.load(file))

    def say(self, sentence, facts):
        """{A.of}: the form "of" of person A; {x}: a number, written out where facts["words"] has it."""
        def fill(match):
            key, _, form = match.group(1).partition(".")
            value = facts[key]
            if key in "AB":
                return self.names[value][form or "is"]
            if key in "op":
                return self.objects[value][form or "is"]
            if key == "need":
                return self.needs[value]
            return self.numbers[str(value)] if key in facts["words"] else str(value)
        return re.sub(r"\{([\w.]+)\}", fill, self.sentences[sentence])


def read_languages():
    folder = os.path.join(HERE, "languages")
    return {name[:-5]: Language(os.path.join(folder, name)) for name in sorted(os.listdir(folder))}


# --- facts ----------------------------------------------------------------------------------------------------------

def people_and_things(rng, english):
    a, b = rng.sample(range(len(english.names)), 2)
    o, p = rng.sample(sorted(english.objects), 2)
    return {"A": a, "B": b, "o": o, "p": p, "words": [n for n in "xyz" if rng.random() < 0.5]}


def numbers_for(rng, kind):
    while True:
        x, y, z = (rng.choice(NUMBERS) for _ in range(3))
        if kind in ("plus", "both", "aside"):
            return x, y, z
        if kind in ("minus", "more") and x > y:
            return x, y, z
        if kind == "steps" and x + y > z:
            return x, y, z
        if kind == "times" and x <= 6 and y <= 6:
            return x, y, z


KINDS = ("plus", "minus", "both", "more", "aside", "steps", "times")


def make_problem(rng, english):
    """Facts with the sentences that tell them, and the sum to do."""
    facts = people_and_things(rng, english)
    kind = rng.choice(KINDS)
    x, y, z = facts["x"], facts["y"], facts["z"] = numbers_for(rng, kind)
    gain, loss = rng.choice(GAIN), rng.choice(LOSS)
    if kind == "plus":
        facts["told"], sums = ("have", gain, "ask_now"), [(x, "+", y)]
    elif kind == "minus":
        facts["told"], sums = ("have", loss, "ask_left"), [(x, "-", y)]
    elif kind == "both":
        facts["told"], sums = ("have_both", "ask_both"), [(x, "+", y)]
    elif kind == "more":
        facts["told"], sums = ("have_both", "ask_more"), [(x, "-", y)]
    elif kind == "aside":  # z things are beside the point
        facts["told"], sums = ("have_two", gain, "ask_now"), [(x, "+", y)]
    elif kind == "steps":
        facts["told"], sums = ("have", gain, loss + "_z", "ask_left"), [(x, "+", y), (x + y, "-", z)]
    else:
        facts["told"], sums = ("tables", "ask_all"), [(x, "*", y)]
    facts["sums"] = [(a, sign, b, {"+": a + b, "-": a - b, "*": a * b}[sign]) for a, sign, b in sums]
    return facts


def tell(language, facts):
    """The sentences of a problem. "lose_z" is "lose" said of z instead of y."""
    said = []
    for sentence in facts["told"]:
        name, _, number = sentence.partition("_z")
        if sentence.endswith("_z"):
            words = ["y"] if "z" in facts["words"] else []
            said.append(language.say(name, {**facts, "y": facts["z"], "words": words}))
        else:
            said.append(language.say(sentence, facts))
    return " ".join(said)


def worked_answer(facts):
    steps = ["%d %s %d = %d" % step for step in facts["sums"]]
    return "\n".join(steps + ["The answer is: %d" % facts["sums"][-1][3]])


def make_choice(rng, english):
    """Who needs which thing: the thing and four others, in any order."""
    facts = people_and_things(rng, english)
    others = [name for name in english.objects if name != facts["o"]]
    facts["choices"] = rng.sample(others, 4) + [facts["o"]]
    rng.shuffle(facts["choices"])
    facts["need"] = facts["o"]
    return facts


def say_choice(language, facts):
    stem = language.say("need", facts) + " " + language.say("ask_need", facts)
    return stem, [language.objects[name]["is"] for name in facts["choices"]]


LABELS = ("entailment", "neutral", "contradiction")


def make_pair(rng, english):
    """A premise about two kinds of things and a statement that follows, may be or cannot be."""
    facts = people_and_things(rng, english)
    facts["x"], facts["z"] = rng.sample(NUMBERS, 2)
    facts["label"] = rng.choice(LABELS)
    second = rng.random() < 0.5
    claim = {"A": facts["A"], "B": facts["B"], "o": facts["p" if second else "o"],
             "x": facts["z" if second else "x"], "words": [n for n in "x" if rng.random() < 0.5]}
    if facts["label"] == "contradiction":
        claim["x"] = rng.choice([n for n in NUMBERS if n != claim["x"]])
    elif facts["label"] == "neutral":
        claim["o"] = rng.choice([name for name in english.objects if name not in (facts["o"], facts["p"])])
    facts["claim"] = claim
    return facts


def say_pair(language, facts):
    return language.say("have_two", facts), language.say("have", facts["claim"])


def make_sentence(rng, english, held_out):
    """Something to translate: a problem, part of one, a need or a premise. Returns how to say it."""
    kind = rng.random()
    if kind < 0.15:
        facts = make_choice(rng, english)
        return lambda language: " ".join([language.say("need", facts), language.say("ask_need", facts)][:1 + (kind < 0.1)])
    if kind < 0.3:
        facts = make_pair(rng, english)
        return lambda language: " ".join(say_pair(language, facts)[:1 + (kind < 0.2)])
    facts = make_problem(rng, english)
    while tell(english, facts) in held_out:
        facts = make_problem(rng, english)
    if kind < 0.55:
        facts["told"] = (rng.choice(facts["told"]),)
    return lambda language: tell(language, facts)


# --- files ----------------------------------------------------------------------------------------------------------

def save(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.write(text)


def save_lines(path, lines):
    save(path, "".join(line + "\n" for line in lines))


def as_json(value):
    return json.dumps(value, ensure_ascii=False)


def choice_row(iso, number, language, facts):
    stem, choices = say_choice(language, facts)
    letters = "ABCDE"
    return as_json({"id": "%05d" % number, "lang": iso,
                    "question": {"stem": stem, "choices": [{"label": letters[i], "text": text}
                                                           for i, text in enumerate(choices)]},
                    "answerKey": letters[facts["choices"].index(facts["o"])]})


def write_tests(out, rng, languages):
    """Returns what training must not hold: the English texts of all items."""
    english = languages["en"]
    problems = [make_problem(rng, english) for _ in range(TEST["math"])]
    choices = [make_choice(rng, english) for _ in range(TEST["x-csqa"])]
    pairs = [make_pair(rng, english) for _ in range(TEST["xnli"])]
    for iso, language in languages.items():
        save_lines("%s/test/mgsm/mgsm_%s.tsv" % (out, iso),
                   ["%s\t%d" % (tell(language, facts), facts["sums"][-1][3]) for facts in problems])
        if iso in TASKS_OF["x-csqa"]:
            save_lines("%s/test/x-csqa/%s/dev.jsonl" % (out, iso),
                       [choice_row(iso, i, language, facts) for i, facts in enumerate(choices)])
        if iso in TASKS_OF["xnli"]:
            save_lines("%s/test/xnli/test-%s.tsv" % (out, iso),
                       ["%s\t%s\t%s" % (*say_pair(language, facts), facts["label"]) for facts in pairs])
    return ({tell(english, facts) for facts in problems} | {str(say_choice(english, facts)) for facts in choices} |
            {str(say_pair(english, facts)) for facts in pairs})


def fresh(rng, english, make, text, held_out):
    while True:
        facts = make(rng, english)
        if text(english, facts) not in held_out:
            return facts


def count_of(kind, language, scale):
    counts = TRAIN[kind]
    return round(scale * (counts["en"] if language.iso == "en" else counts[language.resource]))


def write_tasks(out, rng, languages, held_out, scale):
    math, labels = [], []
    for iso, language in languages.items():
        for _ in range(count_of("math", language, scale)):
            facts = fresh(rng, languages["en"], make_problem, tell, held_out)
            math.append({"query": tell(language, facts), "response": worked_answer(facts), "lang": language.name})
        count = count_of("x-csqa", language, scale) if iso in TASKS_OF["x-csqa"] else 0
        if count:
            save_lines("%s/train/query_translation/x-csqa/train_%s.jsonl" % (out, iso),
                       [choice_row(iso, i, language,
                                   fresh(rng, languages["en"], make_choice,
                                         lambda l, f: str(say_choice(l, f)), held_out)) for i in range(count)])
        for _ in range(count_of("xnli", language, scale) if iso in TASKS_OF["xnli"] else 0):
            facts = fresh(rng, languages["en"], make_pair, lambda l, f: str(say_pair(l, f)), held_out)
            premise, hypothesis = say_pair(language, facts)
            labels.append({"sentence1": premise, "sentence2": hypothesis, "label": facts["label"],
                           "language": language.name})
    for name, items in (("metamath_615k", math), ("xnli_dev", labels)):
        save("%s/train/query_translation/%s.json" % (out, name),
             "[\n" + ",\n".join(as_json(item) for item in items) + "\n]\n")


def write_pairs(out, rng, languages, held_out, scale):
    for iso, language in languages.items():
        said = [make_sentence(rng, languages["en"], held_out) for _ in range(count_of("pairs", language, scale))]
        folder = "%s/train/bilingual_pairs/en-%s/train_100k." % (out, iso)
        save_lines(folder + "en", [say(languages["en"]) for say in said])
        if iso != "en":
            save_lines(folder + iso, [say(language) for say in said])


def write_corpora(out, rng, languages, held_out):
    english = languages["en"]
    with open(os.path.join(HERE, "..", "prompts", "mindmerger.json"), encoding="utf-8") as file:
        prompts = [line for task in json.load(file)["tasks"].values()
                   for line in task["prompt"].split("\n") if line and "{" not in line]
    llm, encoder = [], []
    for iso, language in languages.items():
        lines = [make_sentence(rng, english, held_out)(language)
                 for _ in range(CORPUS_LINES["en" if iso == "en" else language.resource])]
        encoder += lines
        llm += lines if iso == "en" else lines[:CHARACTER_LINES]
    for _ in range(CORPUS_LINES["en"]):
        llm += worked_answer(make_problem(rng, english)).split("\n")
        llm.append(rng.choice(prompts))
        llm.append(rng.choice(["Premise:", "Hypothesis:", "Label: Entailment", "Label: Neutral", "Options:A.",
                               "Label: Contradiction", "Answer: B", "Answer: C", "Answer: D", "Answer: E"]))
    save_lines(out + "/corpus/llm.txt", llm)
    save_lines(out + "/corpus/encoder.txt", encoder + prompts)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--out", required=True, help="where to")
    parser.add_argument("--seed", type=int, default=20250601)
    parser.add_argument("--scale", type=float, default=1.0, help="times the training items (default 1)")
    args = parser.parse_args()
    rng = random.Random(args.seed)
    languages = read_languages()
    held_out = write_tests(args.out, rng, languages)
    write_tasks(args.out, rng, languages, held_out, args.scale)
    write_pairs(args.out, rng, languages, held_out, args.scale)
    write_corpora(args.out, rng, languages, held_out)


if __name__ == "__main__":
    main()
