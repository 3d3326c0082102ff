"""`layeval inspect` on checkpoints made here: every form is read, every broken one refused with exit code 3 and a
message that names the file, the place and what to do."""
import collections
import json
import os
import pickle
import struct
import subprocess
import sys
import tempfile
import zipfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from weight_files import Call, Torch, f32, fake, safetensors, safetensors_raw  # noqa: E402

LAYEVAL = os.environ.get("LAYEVAL")
failures = []


def run(*arguments):
    return subprocess.run([LAYEVAL, *arguments], capture_output=True, text=True, timeout=120)


def check(condition, what):
    if not condition:
        failures.append(what)


def write(directory, name, content):
    path = os.path.join(directory, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content if isinstance(content, bytes) else content.encode())
    return path


def inspect(path, *options):
    done = run("inspect", path, "--json", "--hash", *options)
    if done.returncode != 0:
        failures.append(f"{path}: exit {done.returncode}: {done.stderr.strip()}")
        return None
    return json.loads(done.stdout)


def tensors_of(report):
    return {t["name"]: (t["shape"], t["dtype"]) for t in report["tensors"]} if report else None


def hash_of(report, name):
    return next(t["hash"] for t in report["tensors"] if t["name"] == name)


# --- sound files ---

A, B = f32(1, 2, 3, 4, 5, 6), f32(0.5, -0.5)
WANTED = {"a.weight": ([2, 3], "f32"), "b": ([2], "f32")}


def plain(torch):
    return {"a.weight": torch.tensor(torch.storage(A), [2, 3]), "b": torch.tensor(torch.storage(B), [2])}


def sound_files(directory):
    reference = inspect(write(directory, "ok.safetensors", safetensors(
        {"a.weight": ("F32", [2, 3], A), "b": ("F32", [2], B)}, {"format": "pt"})))
    check(tensors_of(reference) == WANTED, "safetensors: names and shapes")
    check(reference["format"] == "safetensors" and reference["parameters"] == 8 and reference["bytes"] == 32,
          "safetensors: totals")
    forms = {}
    for protocol in (2, 3, 4, 5):
        torch = Torch()
        forms[f"protocol{protocol}.bin"] = torch.zip(plain(torch), protocol)
    torch = Torch()
    forms["zip64.bin"] = torch.zip(plain(torch), top="pytorch_model", force_zip64=True, byteorder=None)
    torch = Torch()
    forms["legacy.bin"] = torch.legacy(plain(torch))
    for key in ("model_state_dict", "state_dict"):
        torch = Torch()
        wrapped = {key: collections.OrderedDict(plain(torch)), "epoch": 3, "loss": 0.25, "best": None,
                   "optimizer": {"state": {0: {"step": 7, "exp_avg": torch.tensor(torch.storage(B), [2])}},
                                 "param_groups": [{"lr": 1e-5, "betas": (0.8, 0.999), "params": [0, 1]}]}}
        forms[f"{key}.bin"] = torch.legacy(wrapped) if key == "state_dict" else torch.zip(wrapped)
    torch = Torch()
    forms["parameters.bin"] = torch.zip({k: torch.parameter(v) for k, v in plain(torch).items()})
    torch = Torch()
    both = torch.storage(B + A)
    forms["one_storage.bin"] = torch.zip({"b": torch.tensor(both, [2]), "a.weight": torch.tensor(both, [2, 3], offset=2)})
    torch = Torch()
    both = torch.storage(B + A)
    view = Torch()
    view.storages = torch.storages
    tensor_b = torch.tensor(both, [2])
    both.view = ("v", 0, 8)
    forms["legacy_view.bin"] = torch.legacy({"b": tensor_b, "a.weight": torch.tensor(both, [2, 3], offset=2)})
    for name, content in forms.items():
        report = inspect(write(directory, name, content))
        check(tensors_of(report) == WANTED, f"{name}: names and shapes")
        check(report and report["hash"] == reference["hash"], f"{name}: same tensors, same hash")
    return reference


def special_tensors(directory):
    torch = Torch()
    storage = torch.storage(f32(1, 4, 2, 5, 3, 6))
    report = inspect(write(directory, "transposed.bin", torch.zip(
        {"t": torch.tensor(storage, [2, 3], [1, 2]), "alias": torch.tensor(storage, [6]),
         "row": torch.tensor(storage, [1, 6], [77, 1]), "scalar": torch.tensor(storage, []),
         "none": torch.tensor(storage, [0, 4]), "flag": torch.tensor(torch.storage(b"\1\0", "BoolStorage"), [2]),
         "half": torch.tensor(torch.storage(b"\0\x3c", "HalfStorage"), [1]),
         "bf16": torch.tensor(torch.storage(b"\x80\x3f", "BFloat16Storage"), [1]),
         "ids": torch.tensor(torch.storage(struct.pack("<q", 5), "LongStorage"), [1])})))
    check(tensors_of(report) == {"t": ([2, 3], "f32"), "alias": ([6], "f32"), "row": ([1, 6], "f32"),
                                 "scalar": ([], "f32"), "none": ([0, 4], "f32"), "flag": ([2], "bool"),
                                 "half": ([1], "f16"), "bf16": ([1], "bf16"), "ids": ([1], "i64")},
          f"views and types: {tensors_of(report)}")
    done = run("inspect", os.path.join(directory, "transposed.bin"))
    check("(transposed)" in done.stdout, "a transposed view is marked")
    report = inspect(write(directory, "nan.safetensors", safetensors({"w": ("F32", [2], f32(1, float("nan")))})))
    check(report and report["tensors"][0]["finite"] is False, "NaN is shown")
    check("NOT FINITE" in run("inspect", os.path.join(directory, "nan.safetensors")).stdout, "NaN is shown in text")


def shards(directory, reference):
    folder = os.path.join(directory, "sharded")
    index = {"metadata": {"total_size": 32}, "weight_map": {"a.weight": "m-1.safetensors", "b": "m-2.safetensors"}}
    write(folder, "m-1.safetensors", safetensors({"a.weight": ("F32", [2, 3], A)}))
    write(folder, "m-2.safetensors", safetensors({"b": ("F32", [2], B)}))
    path = write(folder, "model.safetensors.index.json", json.dumps(index))
    for where in (folder, path):
        report = inspect(where)
        check(report and report["hash"] == reference["hash"] and report["format"] == "safetensors, 2 shards",
              f"{where}: shards make the same model")
    folder = os.path.join(directory, "sharded_bin")
    for number, (name, raw, shape) in enumerate((("a.weight", A, [2, 3]), ("b", B, [2])), 1):
        torch = Torch()
        write(folder, f"p-{number}.bin", torch.zip({name: torch.tensor(torch.storage(raw), shape)}))
    write(folder, "pytorch_model.bin.index.json",
          json.dumps({"weight_map": {"a.weight": "p-1.bin", "b": "p-2.bin"}}))
    report = inspect(folder)
    check(report and report["hash"] == reference["hash"] and report["format"] == "torch zip, 2 shards",
          "sharded .bin make the same model")
    # model.safetensors comes before everything else in a directory
    write(folder, "model.safetensors", safetensors({"c": ("F32", [1], f32(1))}))
    check(tensors_of(inspect(folder)) == {"c": ([1], "f32")}, "model.safetensors is preferred")


def big_zip(directory):
    """A storage of 4.5 GB (a hole in a sparse file) and one behind it: offsets and sizes need zip64."""
    path = os.path.join(directory, "big.bin")
    torch = Torch()
    count = 1125 * 10**6
    hole, behind = torch.storage(b"", count=count), torch.storage(B)
    pickled = torch.pickle({"big": torch.tensor(hole, [count]), "b": torch.tensor(behind, [2])})
    entries = [("archive/data.pkl", pickled, len(pickled)), ("archive/data/0", None, 4 * count),
               ("archive/data/1", B, len(B))]
    central = b""
    with open(path, "wb") as file:
        for name, raw, size in entries:
            at = file.tell()
            name = name.encode()
            extra = struct.pack("<HHQQ", 1, 16, size, size)
            file.write(struct.pack("<IHHHHHIIIHH", 0x04034B50, 45, 0, 0, 0, 0, 0, 0xFFFFFFFF, 0xFFFFFFFF, len(name),
                                   len(extra)) + name + extra)
            if raw is None:
                file.seek(size, os.SEEK_CUR)
            else:
                file.write(raw)
            extra = struct.pack("<HHQQQ", 1, 24, size, size, at)
            central += struct.pack("<IHHHHHHIIIHHHHHII", 0x02014B50, 45, 45, 0, 0, 0, 0, 0, 0xFFFFFFFF, 0xFFFFFFFF,
                                   len(name), len(extra), 0, 0, 0, 0, 0xFFFFFFFF) + name + extra
        at = file.tell()
        file.write(central)
        end = file.tell()
        file.write(struct.pack("<IQHHIIQQQQ", 0x06064B50, 44, 45, 45, 0, 0, 3, 3, len(central), at))
        file.write(struct.pack("<IIQI", 0x07064B50, 0, end, 1))
        file.write(struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0))
    done = run("inspect", path, "--json", "--no-hash")
    check(done.returncode == 0, f"zip64: {done.stderr.strip()}")
    if done.returncode == 0:
        check(tensors_of(json.loads(done.stdout)) == {"big": ([count], "f32"), "b": ([2], "f32")}, "zip64 tensors")
    os.remove(path)


# --- broken files: (file name, content, words the message must have) ---

HEADER = {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}


def header(**changes):
    entry = dict(HEADER["a"], **changes)
    return json.dumps({"a": entry}).encode()


def broken_safetensors():
    good = safetensors({"a.weight": ("F32", [2, 3], A), "b": ("F32", [2], B)})
    two = b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[%d,%d]}}'
    yield "empty", b"", ["empty", "download"]
    yield "seven_bytes", b"\1\0\0\0\0\0\0", ["7 bytes", "download"]
    yield "cut_data", good[:-1], ["cut off", "download", '"b"']
    yield "cut_header", good[:40], ["header", "cut off", "download"]
    yield "header_beyond", safetensors_raw(header(), B, length=10**6), ["header", "1000000", "download"]
    yield "header_huge", safetensors_raw(header(), B, length=2**64 - 1), ["header", "18446744073709551615"]
    yield "header_empty", safetensors_raw(b"", b""), ["header", "download"]
    yield "not_json", safetensors_raw(b'{"a": nonsense}', B), ["JSON"]
    yield "not_utf8", safetensors_raw(b'{"\xff": 1}', B), ["UTF-8"]
    yield "an_array", safetensors_raw(b'[1]', B), ["header", "object"]
    yield "overlap", safetensors_raw(two % (4, 12), B + B), ['"a" and "b" overlap', "download"]
    yield "same_range", safetensors_raw(two % (0, 8), B), ['overlap', "download"]
    yield "gap", safetensors_raw(two % (12, 20), B + B + B), ["gap", '"b"', "download"]
    yield "tail", safetensors({"b": ("F32", [2], B)}, tail=b"x"), ["1 bytes at the end", "download"]
    yield "twice", safetensors_raw(b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},'
                                   b'"a":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}}', B + B), ['"a"', "twice"]
    yield "dtype", safetensors_raw(header(dtype="F8_E4M3"), B), ["F8_E4M3", "not supported", "convert"]
    yield "no_dtype", safetensors_raw(b'{"a":{"shape":[2],"data_offsets":[0,8]}}', B), ["dtype", '"a"']
    yield "negative", safetensors_raw(header(shape=[-2]), B), ["shape", '"a"', "download"]
    yield "half_a_row", safetensors_raw(header(shape=[1.5]), B), ["whole number", '"a"']
    yield "overflow", safetensors_raw(header(shape=[2**40, 2**40]), B), ["larger than any memory", '"a"']
    yield "nine_dims", safetensors_raw(header(shape=[1] * 8 + [2]), B), ["dimensions", '"a"']
    yield "size", safetensors_raw(header(shape=[3]), B), ["does not fit its shape", '"a"', "download"]
    yield "backwards", safetensors_raw(header(data_offsets=[8, 0]), B), ["range", '"a"']
    yield "three_offsets", safetensors_raw(header(data_offsets=[0, 4, 8]), B), ["range", '"a"']
    yield "not_object", safetensors_raw(b'{"a": 3}', B), ["object", '"a"']
    yield "no_tensors", safetensors({}), ["no tensors"]
    yield "lfs", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", ["git lfs pull"]


def with_pickle(pickled):
    torch = Torch()
    torch.storage(A)
    return torch.zip(None, pickled=pickled)


class Evil:
    def __reduce__(self):
        return os.system, ("touch /tmp/layeval-was-here",)


def broken_torch():
    torch = Torch()
    good = torch.zip(plain(torch))
    yield "zip_cut", good[:len(good) // 2], ["zip", "cut off", "download"]
    yield "zip_no_end", good[:-30], ["zip", "download"]
    yield "zip_only_magic", b"PK\3\4", ["zip", "download"]
    torch = Torch()
    yield "compressed", torch.zip(plain(torch), compression=zipfile.ZIP_DEFLATED), ["compressed", "save the weights"]
    torch = Torch()
    yield "big_endian", torch.zip(plain(torch), byteorder=b"big"), ["big-endian", "save it again"]
    torch = Torch()
    yield "no_pickle", torch.zip(plain(torch), skip=("data.pkl",)), ["data.pkl"]
    torch = Torch()
    yield "no_storage", torch.zip(plain(torch), skip=("data/1",)), ["data/1", "missing", "download"]
    torch = Torch()
    yield "short_storage", torch.zip({"a": torch.tensor(torch.storage(A, count=7), [7])}), ["24 bytes", "7 elements"]
    torch = Torch()
    yield "beyond", torch.zip({"a": torch.tensor(torch.storage(A), [7])}), ['"a"', "beyond its storage", "download"]
    torch = Torch()
    yield "offset", torch.zip({"a": torch.tensor(torch.storage(A), [6], offset=1)}), ['"a"', "beyond its storage"]
    torch = Torch()
    yield "overflow_shape", torch.zip({"a": torch.tensor(torch.storage(A), [2**40, 2**40])}), ['"a"', "larger"]
    torch = Torch()
    yield "strided", torch.zip({"a": torch.tensor(torch.storage(A), [3], [2])}), ['"a"', "strided", ".contiguous()"]
    torch = Torch()
    yield "expanded", torch.zip({"a": torch.tensor(torch.storage(B), [2, 2], [0, 1])}), ['"a"', "strided"]
    torch = Torch()
    yield "negative_stride", torch.zip({"a": torch.tensor(torch.storage(A), [6], [-1])}), ["stride"]
    yield "os_system", with_pickle(pickle.dumps({"a": Evil()}, 2)), ["posix.system", "nothing was run"]
    yield "os_system4", with_pickle(pickle.dumps({"a": Evil()}, 4)), ["posix.system", "nothing was run"]
    yield "eval", with_pickle(b"\x80\2cbuiltins\neval\n(X\3\0\0\0" b"1+1tR."), ["builtins.eval", "safetensors"]
    yield "class", with_pickle(pickle.dumps({"a": fake("argparse2", "Namespace")}, 2)), ["argparse2.Namespace"]
    yield "opcode", with_pickle(b"\x80\2I42\n."), ["opcode 0x49"]
    yield "call_storage", with_pickle(b"\x80\2ctorch\nFloatStorage\n)R."), ["torch.FloatStorage"]
    yield "cut_pickle", with_pickle(b"\x80\2}X\xff\0\0\0abc"), ["pickle", "cut off", "download"]
    yield "no_stop", with_pickle(b"\x80\2}"), ["pickle", "cut off"]
    yield "empty_stack", with_pickle(b"\x80\2."), ["missing on the stack"]
    yield "no_mark", with_pickle(b"\x80\2}u."), ["mark"]
    yield "odd_items", with_pickle(b"\x80\2}(K\1u."), ["no value"]
    yield "memo", with_pickle(b"\x80\2h\5."), ["never stored"]
    yield "memo_huge", with_pickle(b"\x80\2}r\xff\xff\xff\xff."), ["memo"]
    yield "long", with_pickle(b"\x80\2\x8a\x09123456789."), ["64 bits"]
    yield "a_list", with_pickle(pickle.dumps([1, 2], 2)), ["state dict"]
    yield "no_tensor", with_pickle(pickle.dumps({"epoch": 1}, 2)), ["no tensors"]
    yield "self", with_pickle(b"\x80\2}q\0X\5\0\0\0modelh\0s."), ["no tensors"]
    torch = Torch()
    yield "int_key", torch.zip({5: torch.tensor(torch.storage(A), [6])}), ["key", "state_dict"]
    torch = Torch()
    inner = {"a": torch.tensor(torch.storage(B), [2])}
    yield "twice_wrapped", torch.zip({"state_dict": inner, "model": {"a": torch.tensor(torch.storage(B), [2])}}), \
        ['"a"', "twice"]
    torch = Torch()
    good = torch.legacy(plain(torch))
    yield "legacy_cut", good[:-1], ["storages are cut off", "download"]
    yield "legacy_cut_early", good[:100], ["cut off", "download"]
    yield "legacy_magic", b"\x80\2" + good[4:], ["torch.save", "safetensors"]
    torch = Torch()
    yield "legacy_protocol", torch.legacy(plain(torch), protocol=1000), ["1001"]
    torch = Torch()
    yield "legacy_big_endian", torch.legacy(plain(torch), little=False), ["big-endian"]
    torch = Torch()
    yield "legacy_no_key", torch.legacy(plain(torch), keys=["0"]), ["missing", "download"]
    torch = Torch()
    yield "legacy_foreign_key", torch.legacy(plain(torch), keys=["x", "0", "1"]), ["no tensor uses"]
    torch = Torch()
    yield "legacy_counts", torch.legacy(plain(torch), counts=1), ["another size"]
    torch = Torch()
    yield "legacy_huge", torch.legacy(plain(torch), counts=2**62), ["cut off"]
    torch = Torch()
    tensor = torch.tensor(torch.storage(A), [2])
    torch.storages[0].view = ("v", 5, 2)
    yield "legacy_view", torch.legacy({"a": tensor}), ["view", "outside"]
    torch = Torch()
    yield "legacy_os_system", torch.legacy(None, pickled=pickle.dumps(Evil(), 2)), ["posix.system", "nothing was run"]


def index(mapping):
    return json.dumps({"weight_map": mapping})


def broken_directories():
    shard = safetensors({"a": ("F32", [2], B)})
    name = "model.safetensors.index.json"
    yield "empty_dir", {"config.json": "{}"}, ["no weights", "model.safetensors"]
    yield "missing_shard", {"m-1": shard, name: index({"a": "m-1", "b": "m-2", "c": "m-3"})}, \
        ['"m-2"', "2 of 3", "download it again"]
    yield "dots", {"../outside": shard, name: index({"a": "../outside"})}, ['"../outside"', "plain file name"]
    yield "absolute", {name: index({"a": "/etc/passwd"})}, ['"/etc/passwd"', "plain file name"]
    yield "parent", {name: index({"a": ".."})}, ["plain file name"]
    yield "no_map", {name: '{"metadata": {}}'}, ["weight_map"]
    yield "empty_map", {name: index({})}, ["weight_map", "empty"]
    yield "number_map", {name: index({"a": 3})}, ["not a file name"]
    yield "not_json", {name: "{"}, ["JSON"]
    yield "not_in_shard", {"m-1": shard, name: index({"a": "m-1", "b": "m-1"})}, ['"b"', "m-1", "download them again"]
    yield "other_shard", {"m-1": shard, "m-2": safetensors({"b": ("F32", [2], B)}),
                          name: index({"a": "m-2", "b": "m-1"})}, ["as the index says"]
    yield "two_shards", {"m-1": shard, "m-2": shard, name: index({"a": "m-1", "b": "m-2"})}, ['"a"', "twice"]
    yield "broken_config", {"model.safetensors": shard, "config.json": "{,}"}, ["config.json", "JSON"]


def refused(path, words, mentioned):
    done = run("inspect", path)
    message = done.stderr.strip()
    check(done.returncode == 3, f"{path}: exit {done.returncode}, not 3: {message}")
    check(message.startswith("layeval inspect: ") and "\n" not in message, f"{path}: one line: {message}")
    for word in [mentioned, *words]:
        check(word in message, f"{path}: \"{word}\" is not in: {message}")


def main():
    if not LAYEVAL:
        print("skipped: LAYEVAL is not set")
        return 77
    with tempfile.TemporaryDirectory() as directory:
        reference = sound_files(directory)
        special_tensors(directory)
        shards(directory, reference)
        big_zip(directory)
        for name, content, words in [*broken_safetensors(), *broken_torch()]:
            refused(write(directory, f"broken_{name}", content), words, f"broken_{name}")
        for name, files, words in broken_directories():
            folder = os.path.join(directory, "broken", name)
            for file, content in files.items():
                write(folder, file, content)
            refused(folder, words, name)
        refused(os.path.join(directory, "nowhere"), ["does not exist"], "nowhere")
        check(not os.path.exists("/tmp/layeval-was-here"), "a pickle ran a command")
    usage = run("inspect")
    check(usage.returncode == 2 and "PATH" in usage.stderr, "inspect without a path")
    check(run("inspect", "--help").returncode == 0, "inspect --help")
    for failure in failures:
        print("FAILED", failure)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
