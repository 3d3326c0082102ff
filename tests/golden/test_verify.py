"""`layeval verify` on the golden cases: every storage form passes, and one changed number fails its family."""
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile

LAYEVAL = os.environ["LAYEVAL"]
HERE = os.path.dirname(os.path.abspath(__file__))

# Storage forms per case: weight files of the bridge with its copies of encoder and LLM, then combinations of files.
FORMS = {
    "langbridge_mt5_llama_linear": 3,
    "layalign_mt5_llama_linear": 3,
    "layalign_mt5_llama_mlp": 4,
    "layalign_mt5_mistral_subset": 2,
    "layalign_nllb_llama_linear": 2,
    "mindmerger_mt5_llama": 2,
    "mindmerger_xlmr_qwen2": 2,
}
# The limits of README.md, by the start of the family's name; everything else must be equal.
LIMITS = [("encoder.hidden", 2e-5), ("soft_prompt", 3e-5), ("adapter", 3e-5), ("llm.inputs_embeds", 3e-5),
          ("llm.layer", 3e-4), ("prefill_logits", 3e-4), ("step_logits", 3e-4), ("logits", 3e-4), ("loss", 3e-5), ("grad.", 2e-4)]
EQUAL = ["generated_ids", "generated_ids_eos", "llm.attention_mask", "llm.position_ids", "decode1.attention_mask",
         "decode1.position_ids"]
INPUTS = {"enc_ids", "enc_mask", "prompt_ids", "prompt_mask", "label_ids", "label_mask", "input_ids", "input_mask",
          "labels"}


def run(*arguments):
    # Idle threads of these tiny models must not spin while other tests run.
    environment = {**os.environ, "OMP_WAIT_POLICY": "passive"}
    return subprocess.run([LAYEVAL, "verify", *arguments], capture_output=True, text=True, env=environment)


def check(condition, message):
    if not condition:
        sys.exit(f"test_verify: {message}")


def load(path):
    """Header and data of a safetensors file."""
    with open(path, "rb") as file:
        size = struct.unpack("<Q", file.read(8))[0]
        header = json.loads(file.read(size))
        return header, bytearray(file.read())


def save(path, header, data):
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


def expected_tensors(case):
    """How many tensors of each kind must be compared: all but inputs."""
    header, _ = load(os.path.join(case, "expected.safetensors"))
    return sum(1 for name in header if name != "__metadata__" and not name.startswith("bf16ckpt.")
               and name.split(".", 1)[1] not in INPUTS)


def golden_cases_pass():
    for name, forms in FORMS.items():
        case = os.path.join(HERE, name)
        result = run(case, "--json")
        check(result.returncode == 0, f"{name}: exit {result.returncode}\n{result.stdout}{result.stderr}")
        report = json.loads(result.stdout)
        check(report["ok"] is True and len(report["blocks"]) == forms,
              f"{name}: {len(report['blocks'])} storage forms instead of {forms}")
        bf16 = 0
        for block in report["blocks"]:
            families = {f["family"]: f for f in block["families"]}
            compared = sum(f["tensors"] for f in families.values())
            for family, f in families.items():
                limit = next((value for start, value in LIMITS if family.startswith(start)), 0)
                check(f["ok"] and f["limit"] == limit, f"{name}: {family}: {f}")
            if "bridge_bf16" in block["bridge"]:
                bf16 += 1
                check(compared == 3, f"{name}: bf16 checkpoint: {compared} tensors compared instead of 3")
                continue
            # LangBridge's batch loss counts masked pads as positions: it and its four gradients are not reproduced.
            left_out = 5 if name.startswith("langbridge") else 0
            check(compared == expected_tensors(case) - left_out,
                  f"{name}: {compared} tensors compared of {expected_tensors(case)}")
            check(all(family in families for family in EQUAL), f"{name}: {sorted(families)}")
            reasons = {s["family"]: s["reason"] for s in block["not_compared"]}
            allowed = INPUTS | {"(other forms)"} | ({"loss", "grad.*"} if left_out else set())
            check(set(reasons) <= allowed, f"{name}: not compared: {set(reasons) - allowed}")
            if name.startswith("layalign"):  # b3 and trainb of LayAlign, encoder pads included
                for family in families:
                    if family.startswith(("encoder", "adapter", "soft_prompt")):
                        check(families[family]["without_pads"] == 0, f"{name}: {family} leaves out pads")
        check(bf16 == (1 if name == "layalign_mt5_llama_mlp" else 0), f"{name}: bf16 forms: {bf16}")


def set_number(header, data, name, index, change):
    """Applies `change` to one element, counted from the end when index is negative."""
    begin, end = header[name]["data_offsets"]
    code, size = {"F32": ("<f", 4), "I64": ("<q", 8)}[header[name]["dtype"]]
    at = (begin if index >= 0 else end) + index * size
    data[at:at + size] = struct.pack(code, change(struct.unpack(code, data[at:at + size])[0]))


def changed(case, edit, *options):
    """Runs verify on a copy of the case after edit(header, data) of its expected file."""
    with tempfile.TemporaryDirectory() as folder:
        copy = os.path.join(folder, "case")
        shutil.copytree(os.path.join(HERE, case), copy)
        path = os.path.join(copy, "expected.safetensors")
        header, data = load(path)
        edit(header, data)
        save(path, header, data)
        return run(copy, "--json", "--threads", "1", *options)


def failed_families(result):
    return {f["family"] for block in json.loads(result.stdout)["blocks"] for f in block["families"] if not f["ok"]}


def one_changed_number_fails_its_family():
    # case, tensor, element, change, family that must fail alone. Changes are twice the limit, or one. Changes of
    # different families of one case share a run: as many families must fail, no other.
    changes = [
        ("layalign_mt5_llama_linear", "ex4.encoder.hidden.2", 77, lambda x: x + 4e-5, "encoder.hidden.*"),
        ("layalign_mt5_llama_linear", "b3.encoder.hidden.3", -1, lambda x: x - 4e-5, "encoder.hidden.*"),
        ("layalign_mt5_llama_linear", "ex1.soft_prompt", 0, lambda x: x + 6e-5, "soft_prompt"),
        ("layalign_mt5_llama_linear", "b3.adapter.layer3.k", -1, lambda x: x + 6e-5, "adapter.layer*.k"),
        ("layalign_mt5_llama_linear", "ex2.adapter.layer0.v", 5, lambda x: x + 6e-5, "adapter.layer*.v"),
        ("layalign_mt5_llama_linear", "ex0.llm.inputs_embeds", -1, lambda x: x + 6e-5, "llm.inputs_embeds"),
        ("layalign_mt5_llama_linear", "ex0.llm.layer2.attn_base_out", 9, lambda x: x + 6e-4,
         "llm.layer*.attn_base_out"),
        ("layalign_mt5_mistral_subset", "ex0.llm.layer1.attn_out", 9, lambda x: x + 6e-4, "llm.layer*.attn_out"),
        ("layalign_mt5_mistral_subset", "ex0.llm.layer0.out", 0, lambda x: x + 6e-4, "llm.layer*.out"),
        ("layalign_nllb_llama_linear", "ex3.prefill_logits", 11, lambda x: x - 6e-4, "prefill_logits"),
        ("layalign_nllb_llama_linear", "b3.step_logits", -1, lambda x: x + 6e-4, "step_logits"),
        ("layalign_nllb_llama_linear", "trainb.logits", -1, lambda x: x + 6e-4, "logits"),
        ("layalign_nllb_llama_linear", "trainb.loss", 0, lambda x: x + 6e-5, "loss"),
        ("layalign_mt5_llama_mlp", "trainb.grad.encoder_aligner.projector.fc3.weight", 5, lambda x: x + 4e-4, "grad.*"),
        ("layalign_mt5_mistral_subset", "train1.grad.model_llm.model.model.layers.2.self_attn.adaption_gate", 0,
         lambda x: x - 4e-4, "grad.*"),
        ("mindmerger_xlmr_qwen2", "trainb.grad.mapping.end_boundary", -1, lambda x: x + 4e-4, "grad.*"),
        ("langbridge_mt5_llama_linear", "train0.grad.lb.lm_head.weight", 3, lambda x: x + 4e-4, "grad.*"),
        ("mindmerger_xlmr_qwen2", "b3.generated_ids", -1, lambda x: x ^ 1, "generated_ids"),
        ("mindmerger_xlmr_qwen2", "ex1.generated_ids_eos", 0, lambda x: x ^ 1, "generated_ids_eos"),
        ("mindmerger_mt5_llama", "b3.llm.position_ids", -1, lambda x: x + 1, "llm.position_ids"),
        ("mindmerger_mt5_llama", "ex2.llm.attention_mask", 0, lambda x: 0, "llm.attention_mask"),
        ("mindmerger_mt5_llama", "b3.decode1.attention_mask", 0, lambda x: 1, "decode1.attention_mask"),
        ("langbridge_mt5_llama_linear", "ex3.decode1.position_ids", 0, lambda x: x + 1, "decode1.position_ids"),
        ("langbridge_mt5_llama_linear", "train1.logits", 3, lambda x: float("nan"), "logits"),
    ]
    groups = []
    for case, tensor, index, change, family in changes:
        group = next((g for c, g in groups if c == case and family not in g), None)
        if group is None:
            group = {}
            groups.append((case, group))
        group[family] = tensor, index, change
    for case, group in groups:
        def edit(header, data):
            for one in group.values():
                set_number(header, data, *one)
        one_form = [word for part, file in (("bridge", "pytorch_model.bin"), ("encoder", "model.safetensors"),
                                            ("llm", "model.safetensors"))
                    for word in ("--" + part, os.path.join(HERE, case, part, file))]
        result = changed(case, edit, *one_form)
        check(result.returncode == 1, f"{case}: exit {result.returncode}, not 1\n{result.stderr}")
        check(failed_families(result) == set(group), f"{case}: {failed_families(result)} failed, not {set(group)}")
    result = changed("layalign_mt5_llama_mlp",
                     lambda h, d: set_number(h, d, "bf16ckpt.ex0.soft_prompt", 0, lambda x: x + 6e-5))
    blocks = json.loads(result.stdout)["blocks"]
    check(result.returncode == 1, "bf16ckpt: a changed number passes")
    check([b["bridge"].split("/")[-2] for b in blocks if not b["ok"]] == ["bridge_bf16"], "bf16ckpt: other form fails")


def changed_weights_fail():
    """A number of the models, not of the expectations: the last weight of the LLM's file."""
    with tempfile.TemporaryDirectory() as folder:
        copy = os.path.join(folder, "case")
        shutil.copytree(os.path.join(HERE, "mindmerger_mt5_llama"), copy)
        path = os.path.join(copy, "llm", "model.safetensors")
        header, data = load(path)
        set_number(header, data, "model.layers.1.self_attn.q_proj.weight", 40, lambda x: x + 0.5)
        save(path, header, data)
        result = run(copy, "--json", "--llm", path)
        check(result.returncode == 1 and "prefill_logits" in failed_families(result), "a changed weight passes")


def below_f32_the_relative_error_is_judged():
    for dtype, limit in (("bf16", 0.025), ("int8", 0.12)):
        for case in FORMS:
            result = run(os.path.join(HERE, case), "--json", "--threads", "1", "--dtype", dtype)
            check(result.returncode == 0, f"{case} {dtype}: {result.stdout}{result.stderr}")
            for block in json.loads(result.stdout)["blocks"]:
                families = {f["family"]: f for f in block["families"]}
                logits = families["prefill_logits"]
                check(logits["judged"] and 1e-4 < logits["relative_error"] <= limit == logits["relative_limit"],
                      f"{case} {dtype}: {logits}")
                check(logits["next_token_agrees"] >= 0.8 * logits["rows"] > 0, f"{case} {dtype}: {logits}")
                check(not families["generated_ids"]["judged"], "tokens of one's own choice are judged")

    def larger(header, data):
        for i in range(64):
            set_number(header, data, "ex0.prefill_logits", i, lambda x: x + 30)

    for dtype in ("bf16", "int8"):
        result = changed("mindmerger_mt5_llama", larger, "--dtype", dtype)
        check(result.returncode == 1 and failed_families(result) == {"prefill_logits"}, f"{dtype}: changed logits pass")


def overrides_choose_one_form():
    case = os.path.join(HERE, "layalign_mt5_llama_mlp")
    result = run(case, "--json", "--bridge", os.path.join(case, "bridge_bf16"))
    blocks = json.loads(result.stdout)["blocks"]
    check(result.returncode == 0 and all("bridge_bf16" in b["bridge"] for b in blocks), "--bridge DIR")
    case = os.path.join(HERE, "mindmerger_mt5_llama")
    result = run(case, "--json", "--llm", os.path.join(case, "llm_sharded"), "--bridge",
                 os.path.join(case, "bridge", "pytorch_model.bin"), "--threads", "1")
    blocks = json.loads(result.stdout)["blocks"]
    check(result.returncode == 0 and len(blocks) == 1, "--llm DIR --bridge FILE")
    check("llm_sharded" in blocks[0]["llm"] and blocks[0]["bridge"].endswith(".bin"), str(blocks[0]))


def own_dump_with_few_keys():
    """A user's dump: case.json with the method alone, inputs and one output; own limits."""
    def keep(header, data):
        for name in list(header):
            if name not in ("ex0.enc_ids", "ex0.prompt_ids", "ex0.prefill_logits"):
                del header[name]

    def pack(header, data):
        keep(header, data)
        packed = bytearray()
        for name in sorted(header):
            begin, end = header[name]["data_offsets"]
            header[name]["data_offsets"] = [len(packed), len(packed) + end - begin]
            packed += data[begin:end]
        data[:] = packed

    with tempfile.TemporaryDirectory() as folder:
        source = os.path.join(HERE, "mindmerger_mt5_llama")
        copy = os.path.join(folder, "case")
        shutil.copytree(source, copy)
        header, data = load(os.path.join(source, "expected.safetensors"))
        pack(header, data)
        save(os.path.join(copy, "expected.safetensors"), header, data)
        for text, code in (('{"method": "mindmerger"}', 0),
                           ('{"method": "mindmerger", "limits": {"prefill_logits": 1e-12}}', 1),
                           ('{"method": "mindmerger", "limits": {"prefill": 1e-3}}', 0),
                           ('{"method": "layalign"}', 3), ('{"method": "translate"}', 3), ("{}", 3), ("{", 3)):
            with open(os.path.join(copy, "case.json"), "w") as file:
                file.write(text)
            result = run(copy)
            check(result.returncode == code, f"{text}: exit {result.returncode}\n{result.stdout}{result.stderr}")
            check(code < 3 or len(result.stderr.strip().splitlines()) == 1, f"{text}: {result.stderr}")


def bad_cases_get_a_message():
    result = run(os.path.join(HERE, "no_such_case"))
    check(result.returncode in (2, 3) and "no_such_case" in result.stderr, f"missing case: {result.stderr}")
    check(run().returncode == 2, "no case")
    check(run("--dtype", "f8", HERE).returncode == 2, "--dtype f8")

    def id_outside(header, data):
        set_number(header, data, "ex0.enc_ids", 0, lambda x: 10 ** 9)

    def mask_on_the_left(header, data):
        set_number(header, data, "b3.enc_mask", 0, lambda x: 0)

    for edit, says in ((id_outside, "ex0.enc_ids"), (mask_on_the_left, "padded on the right")):
        result = changed("mindmerger_mt5_llama", edit)
        check(result.returncode == 3 and says in result.stderr, f"{says}: {result.returncode} {result.stderr}")


for test in (golden_cases_pass, one_changed_number_fails_its_family, changed_weights_fail, below_f32_the_relative_error_is_judged, overrides_choose_one_form,
             own_dump_with_few_keys, bad_cases_get_a_message):
    test()
    print(f"ok {test.__name__}")
