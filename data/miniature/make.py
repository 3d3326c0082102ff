#!/usr/bin/env python3
"""Makes the data of the miniature: a small world of people, things and small numbers in six languages.

    python3 data/miniature/make.py --out DIR [--seed N] [--scale X]

writes in the layouts of the official files (README, "The miniature"):

    DIR/train/query_translation/metamath_615k.json   arithmetic word problems, answers worked in English
    DIR/train/query_translation/x-csqa/train_XX.jsonl, xnli_dev.json
    DIR/train/bilingual_pairs/en-XX/train_100k.XX, train_100k.en   (en-en: English to English)
    DIR/train/sheets.jsonl, notes.jsonl, encoder.jsonl, choice_sheets.jsonl   steps of LLM, encoder and bridges between these
    DIR/dev/mgsm/mgsm_XX.tsv, DIR/dev/x-csqa/XX/dev.jsonl, DIR/dev/xnli/test-XX.tsv   held out, parallel: to tune on
    DIR/test/...                                     the same layouts, other items: to report
    DIR/corpus/llm.txt, DIR/corpus/encoder.txt       what the two SentencePiece models are trained on

An item is made once, as facts, and then said in a language by the sentences of languages/XX.json. No item of
the dev and test files, whatever its language, occurs in a training file, nor one of test in dev. Low-resource
languages have fewer translation pairs and no task data: their pairs hold lists of choices and pairs of
statements, but no answer; in the notes they stand beside an English item that has nothing to do with them.
Nothing but Python's standard library is needed; the same seed gives the same files.
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
    "math": {"en": 20000, "high": 8000, "low": 0},
    "x-csqa": {"en": 30000, "high": 4000, "low": 0},
    "x-csqa sheets": {"en": 4000, "high": 4000, "low": 0},  # for bridges
    "xnli": {"en": 30000, "high": 4000, "low": 0},
    "pairs": {"en": 12000, "high": 16000, "low": 8000},
    "encoder": {"en": 8000, "high": 11000, "low": 6000},  # and as many mixed ones
}
SHEETS = 40000  # lists and premises with several questions, English
NOTES = 40000  # prompts behind notes of what they should say
TEST = {"math": 250, "x-csqa": 250, "xnli": 250}
CORPUS_LINES = {"en": 4000, "high": 2000, "low": 2000}
CHARACTER_LINES = 100  # of every other language in the LLM's corpus: it knows their letters, not their words
NUMBERS = range(2, 13)
GAIN, LOSS = ("get", "find", "buy"), ("give", "lose", "sell")


class Language:
    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            self.__dict__.update(json.load(file))

    def word(self, key, form, facts):
        value = facts[key]
        if key in "AB":
            return self.names[value][form]
        if key in "op":
            return self.objects[value][form]
        if key == "need":
            return self.needs[value]
        return self.numbers[str(value)] if key in facts["words"] else str(value)

    def say(self, sentence, facts):
        """{A.of}: the form "of" of person A; {x}: a number, written out where facts["words"] has it."""
        def fill(match):
            key, _, form = match.group(1).partition(".")
            return self.word(key, form or "is", facts)
        return re.sub(r"\{([\w.]+)\}", fill, self.pattern(sentence))

    def pattern(self, sentence):
        return self.sentences[sentence]


class Mixture(Language):
    """Every sentence, and every word in it, in one of some languages: what means the same will have to be read alike."""

    def __init__(self, rng, languages):
        self.rng, self.languages = rng, languages

    def word(self, key, form, facts):
        language = self.rng.choice(self.languages)
        try:
            return language.word(key, form, facts)
        except KeyError:  # a form that only the sentence's own language has
            return language.word(key, "is", facts)

    def pattern(self, sentence):
        return self.rng.choice(self.languages).sentences[sentence]


def read_languages():
    folder = os.path.join(HERE, "languages")
    return {name[:-5]: Language(os.path.join(folder, name)) for name in sorted(os.listdir(folder))}


def read_prompts():
    with open(os.path.join(HERE, "..", "prompts", "mindmerger.json"), encoding="utf-8") as file:
        return json.load(file)["tasks"]


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


LETTERS = "ABCDE"


def say_choice(language, facts):
    stem = language.say("need", facts) + " " + language.say("ask_need", facts)
    return stem, [language.word("o", "is", {"o": name}) for name in facts["choices"]]


LABELS = ("entailment", "neutral", "contradiction")


def make_pair(rng, english):
    """A premise about two kinds of things and a statement that follows, may be or cannot be."""
    facts = people_and_things(rng, english)
    facts["x"], facts["z"] = rng.sample(NUMBERS, 2)
    return claim_of(rng, english, facts)


def claim_of(rng, english, facts):
    """The premise of facts with a new statement."""
    facts = {**facts, "label": rng.choice(LABELS)}
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


def list_choices(language, facts):
    """As the prompts have it, in one line."""
    stem, choices = say_choice(language, facts)
    return "%s Options:%s Answer:" % (stem, " ".join("%s. %s" % item for item in zip(LETTERS, choices)))


def list_pair(language, facts):
    return "Premise: %s Hypothesis: %s Label:" % say_pair(language, facts)


def make_sentence(rng, english, held_out):
    """Something to translate: a problem, part of one, a choice or a pair without its answer. Returns how to say it."""
    kind = rng.random()
    if kind < 0.25:
        facts = fresh(rng, english, make_choice, choice_text, held_out)
        if kind < 0.05:
            return lambda language: language.say("need", facts)
        return lambda language: list_choices(language, facts)
    if kind < 0.5:
        facts = fresh(rng, english, make_pair, pair_text, held_out)
        if kind < 0.3:
            return lambda language: say_pair(language, facts)[0]
        return lambda language: list_pair(language, facts)
    facts = fresh(rng, english, make_problem, tell, held_out)
    if kind < 0.65:
        facts["told"] = (rng.choice(facts["told"]),)
    return lambda language: tell(language, facts)


# --- held out -------------------------------------------------------------------------------------------------------

def choice_text(language, facts):
    return str(say_choice(language, facts))


def pair_text(language, facts):
    return str(say_pair(language, facts))


def fresh(rng, english, make, text, held_out):
    while True:
        facts = make(rng, english)
        if text(english, facts) not in held_out:
            return facts


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
    return as_json({"id": "%05d" % number, "lang": iso,
                    "question": {"stem": stem, "choices": [{"label": LETTERS[i], "text": text}
                                                           for i, text in enumerate(choices)]},
                    "answerKey": choice_letter(facts)})


def write_tests(folder, rng, languages, held_out):
    """Adds to held_out what training must not hold: the English texts of all items."""
    english = languages["en"]
    problems = [fresh(rng, english, make_problem, tell, held_out) for _ in range(TEST["math"])]
    choices = [fresh(rng, english, make_choice, choice_text, held_out) for _ in range(TEST["x-csqa"])]
    pairs = [fresh(rng, english, make_pair, pair_text, held_out) for _ in range(TEST["xnli"])]
    for iso, language in languages.items():
        save_lines("%s/mgsm/mgsm_%s.tsv" % (folder, iso),
                   ["%s\t%d" % (tell(language, facts), facts["sums"][-1][3]) for facts in problems])
        if iso in TASKS_OF["x-csqa"]:
            save_lines("%s/x-csqa/%s/dev.jsonl" % (folder, iso),
                       [choice_row(iso, i, language, facts) for i, facts in enumerate(choices)])
        if iso in TASKS_OF["xnli"]:
            save_lines("%s/xnli/test-%s.tsv" % (folder, iso),
                       ["%s\t%s\t%s" % (*say_pair(language, facts), facts["label"]) for facts in pairs])
    held_out |= {tell(english, facts) for facts in problems}
    held_out |= {choice_text(english, facts) for facts in choices} | {pair_text(english, facts) for facts in pairs}


def choice_fields(language, facts):
    """What the prompt of a choice says."""
    stem, choices = say_choice(language, facts)
    return {"stem": stem, "options": "\t".join("%s. %s" % item for item in zip(LETTERS, choices))}


def choice_letter(facts):
    return LETTERS[facts["choices"].index(facts["o"])]


def letters_asked(rng, english, facts, held_out):
    """A question, in English, for each thing of a list, with its letter."""
    asked = []
    for name in rng.sample(facts["choices"], len(facts["choices"])):
        item = {**facts, "A": rng.randrange(len(english.names)), "o": name, "need": name}
        if choice_text(english, item) not in held_out:
            asked.append("%s Answer: %s" % (english.say("need", item), choice_letter(item)))
    return " ".join(asked)


SHEET = "Options:{options}"


def choice_sheet(rng, english, held_out, language=None):
    """One list of things and a question for each; the answers are letters."""
    facts = make_choice(rng, english)
    target = letters_asked(rng, english, facts, held_out)
    return {"prompt": SHEET.format(**choice_fields(language or english, facts)), "target": target}


def pair_sheet(rng, english, held_out):
    """One premise and some statements; the answers are labels."""
    facts = make_pair(rng, english)
    asked = []
    while len(asked) < 5:
        item = claim_of(rng, english, facts)
        premise, hypothesis = say_pair(english, item)
        if pair_text(english, item) not in held_out:
            asked.append("Hypothesis: %s Label: %s" % (hypothesis, item["label"].capitalize()))
    return {"prompt": "Premise: " + premise, "target": " ".join(asked)}


def write_sheets(out, rng, english, held_out, scale):
    """What the LLM is trained on first: five answers a sample show it what one alone would in very many steps."""
    save_lines(out + "/train/sheets.jsonl",
               [as_json(rng.choice((choice_sheet, pair_sheet))(rng, english, held_out)) for _ in range(round(SHEETS * scale))])


def write_bridge_sheets(out, rng, languages, held_out, scale):
    """The same for bridges, where the list is in any language with task data and the questions are in English."""
    lines = []
    for iso in TASKS_OF["x-csqa"]:
        for _ in range(count_of("x-csqa sheets", languages[iso], scale)):
            sheet = choice_sheet(rng, languages["en"], held_out, languages[iso])
            lines.append(as_json({"source": sheet["prompt"], **sheet, "lang": languages[iso].name}))
    save_lines(out + "/train/choice_sheets.jsonl", lines)


def scramble(rng, languages):
    """Makes English illegible: words become those of no language in a script of one; letters of choices stay, names may."""
    others = [language for iso, language in languages.items() if iso != "en"]
    sentences = "".join(rng.choice(others).sentences.values())
    letters = sorted({c for c in re.sub(r"{.*?}", "", sentences) if c.isalpha()})
    words = {}
    if rng.random() < 0.5:
        words = {name["is"]: name["is"] for name in languages["en"].names}

    def word(match):
        known = match.group(0)
        new = "".join(rng.choice(letters) for _ in range(rng.randint(1, 3)))
        return known if len(known) == 1 else words.setdefault(known, new)
    return lambda text: re.sub(r"[A-Za-z]+", word, text)


# task: what makes its facts, their text, the fields of its prompt in a language, the target (None: a letter for each thing)
NOTED = {
    "mgsm": (make_problem, tell, lambda language, facts: {"question": tell(language, facts)}, worked_answer),
    "x-csqa": (make_choice, choice_text, choice_fields, choice_letter),
    "xnli": (make_pair, pair_text, lambda language, facts: dict(zip(("sentence1", "sentence2"), say_pair(language, facts))),
             lambda facts: facts["label"].capitalize()),
    "sheet": (make_choice, choice_text, choice_fields, None),
}


def note(rng, languages, prompts, held_out):
    """A task whose prompt is often of no use, what it should say in front of it: what a bridge will do for the LLM."""
    english = languages["en"]
    task = rng.choices(("mgsm", "x-csqa", "xnli", "sheet", "translation"), (3, 6, 6, 4, 3))[0]
    if task == "translation":
        said = make_sentence(rng, english, held_out)(english)
        names = {"source language": "English", "target language": "English"}
        return {"prompt": prompts[task]["prompt"].format(source=said, **names), "target": said}
    make, text, fields, answer = NOTED[task]
    facts = fresh(rng, english, make, text, held_out)
    said = fields(english, facts)
    target = answer(facts) if answer else letters_asked(rng, english, facts, held_out)
    prompt, encoder = (SHEET, SHEET) if task == "sheet" else (prompts[task]["prompt"], prompts[task]["encoder"])
    if rng.random() < 0.4:
        return {"prompt": prompt.format(**said), "target": target}
    front = " ".join(encoder.format(**said).split())
    if rng.random() < 0.5:  # something else in another language
        other = languages[rng.choice([iso for iso in languages if iso != "en"])]
        behind = fields(other, fresh(rng, english, make, text, held_out))
    else:
        scrambled = scramble(rng, languages)
        behind = {key: scrambled(value) for key, value in said.items()}
    return {"prompt": front + "\n" + prompt.format(**behind), "target": target}


def write_notes(out, rng, languages, held_out, scale):
    """What the LLM is trained on last: to take from the context what the prompt does not tell it."""
    prompts = read_prompts()
    save_lines(out + "/train/notes.jsonl",
               [as_json(note(rng, languages, prompts, held_out)) for _ in range(round(NOTES * scale))])


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
                       [choice_row(iso, i, language, fresh(rng, languages["en"], make_choice, choice_text, held_out))
                        for i in range(count)])
        for _ in range(count_of("xnli", language, scale) if iso in TASKS_OF["xnli"] else 0):
            facts = fresh(rng, languages["en"], make_pair, pair_text, held_out)
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


def write_encoder(out, rng, languages, held_out, scale):
    """What the encoder learns last: more pairs, half of them with sources that mix languages."""
    every = list(languages.values())
    lines = []
    for language in every:
        for _ in range(count_of("encoder", language, scale)):
            mixture = Mixture(rng, every if rng.random() < 0.5 else rng.sample(every, 2))
            for source in (language, mixture):
                say = make_sentence(rng, languages["en"], held_out)
                lines.append(as_json({"source": say(source), "target": say(languages["en"])}))
    save_lines(out + "/train/encoder.jsonl", lines)


def write_corpora(out, rng, languages, held_out):
    english = languages["en"]
    prompts = [line for task in read_prompts().values() for line in task["prompt"].split("\n") if line and "{" not in line]
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
    languages = read_languages()
    english = languages["en"]
    held_out = set()

    def numbers(name):
        """Every part has its own: a change to one leaves the others as they are."""
        return random.Random("%s %d" % (name, args.seed))

    for name in ("test", "dev"):
        write_tests(args.out + "/" + name, numbers(name + " items"), languages, held_out)
    write_tasks(args.out, numbers("tasks"), languages, held_out, args.scale)
    write_sheets(args.out, numbers("sheets"), english, held_out, args.scale)
    write_notes(args.out, numbers("notes"), languages, held_out, args.scale)
    write_bridge_sheets(args.out, numbers("bridge sheets"), languages, held_out, args.scale)
    write_pairs(args.out, numbers("pairs"), languages, held_out, args.scale)
    write_encoder(args.out, numbers("encoder"), languages, held_out, args.scale)
    write_corpora(args.out, numbers("corpora"), languages, held_out)


if __name__ == "__main__":
    main()
