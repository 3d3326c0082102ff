"""Writes checkpoints for tests, sound ones and broken ones, with nothing but the standard library: safetensors
by hand, torch files with Python's own pickle and stand-ins for torch's names."""
import collections
import io
import json
import pickle
import struct
import sys
import types
import zipfile

# --- safetensors ---


def safetensors(tensors, metadata=None, tail=b""):
    """tensors: {name: (dtype, shape, bytes)}"""
    header, data = {}, b""
    if metadata is not None:
        header["__metadata__"] = metadata
    for name, (dtype, shape, raw) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    return safetensors_raw(json.dumps(header).encode(), data + tail)


def safetensors_raw(header, data, length=None):
    return struct.pack("<Q", len(header) if length is None else length) + header + data


def f32(*values):
    return struct.pack("<%df" % len(values), *values)


# --- torch ---


class Storage:
    def __init__(self, kind, key, raw, count):
        self.kind, self.key, self.raw, self.count = kind, key, raw, count
        self.view = None


def _module(name):
    if name not in sys.modules:
        sys.modules[name] = types.ModuleType(name)
    return sys.modules[name]


def fake(module, name):
    """Something that pickles as the global module.name."""
    for part in (module.split(".")[0], module):
        _module(part)
    if not hasattr(_module(module), name):
        thing = type(name, (), {})
        thing.__module__, thing.__qualname__ = module, name
        setattr(_module(module), name, thing)
    return getattr(_module(module), name)


class Call:
    """Pickles as the call function(*arguments)."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


SIZES = {"FloatStorage": 4, "HalfStorage": 2, "BFloat16Storage": 2, "DoubleStorage": 8, "LongStorage": 8,
         "ByteStorage": 1, "BoolStorage": 1}


class Torch:
    """Collects storages while tensors are described."""

    def __init__(self):
        self.storages = []

    def storage(self, raw, kind="FloatStorage", count=None):
        key = str(len(self.storages))
        self.storages.append(Storage(kind, key, raw, len(raw) // SIZES[kind] if count is None else count))
        return self.storages[-1]

    def tensor(self, storage, shape, stride=None, offset=0):
        if stride is None:
            stride, step = [], 1
            for size in reversed(shape):
                stride.insert(0, step)
                step *= size
        return Call(fake("torch._utils", "_rebuild_tensor_v2"), storage, offset, tuple(shape), tuple(stride), False,
                    collections.OrderedDict())

    def parameter(self, tensor):
        return Call(fake("torch._utils", "_rebuild_parameter"), tensor, True, collections.OrderedDict())

    def pickle(self, thing, protocol=2, legacy=False):
        out = io.BytesIO()
        pickler = pickle.Pickler(out, protocol)

        def persistent_id(value):
            if not isinstance(value, Storage):
                return None
            id = ("storage", fake("torch", value.kind), value.key, "cpu", value.count)
            return id + (value.view,) if legacy else id

        pickler.persistent_id = persistent_id
        pickler.dump(thing)
        return out.getvalue()

    def zip(self, thing, protocol=2, top="archive", byteorder=b"little", compression=zipfile.ZIP_STORED,
            pickled=None, skip=(), force_zip64=False):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", compression) as archive:
            entries = [("data.pkl", self.pickle(thing, protocol) if pickled is None else pickled)]
            if byteorder is not None:
                entries.append(("byteorder", byteorder))
            entries += [("data/" + s.key, s.raw) for s in self.storages]
            entries.append(("version", b"3\n"))
            for name, raw in entries:
                if name in skip:
                    continue
                info = zipfile.ZipInfo(f"{top}/{name}")
                info.compress_type = compression
                with archive.open(info, "w", force_zip64=force_zip64) as entry:
                    entry.write(raw)
        return out.getvalue()

    def legacy(self, thing, protocol=1001, little=True, keys=None, pickled=None, magic=0x1950A86A20F9469CFC6C,
               counts=None):
        out = pickle.dumps(magic, 2) + pickle.dumps(protocol, 2)
        out += pickle.dumps({"protocol_version": 1001, "little_endian": little,
                             "type_sizes": {"short": 2, "int": 4, "long": 4}}, 2)
        out += self.pickle(thing, 2, legacy=True) if pickled is None else pickled
        out += pickle.dumps([s.key for s in self.storages] if keys is None else keys, 2)
        for s in self.storages:
            out += struct.pack("<q", s.count if counts is None else counts) + s.raw
        return out
