#!/usr/bin/env python3
"""igvmtool against igvm_spec.py: images that it builds, files that it did not build, what it measures.

    test_igvmtool.py IGVMTOOL [IMAGE...]       images are checked besides what the tests build
"""

import base64
import json
import os
import random
import struct
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True  # nothing is left in the source tree

import igvm_spec as spec
from igvm_spec import PAGE

TOOL = None
IMAGES = []
BASE = 0x8000000


def elf(segments, entry):
    """An x86-64 executable with segments (address, bytes, size in memory)."""
    head = 64 + 56 * len(segments)
    out = struct.pack("<4s5B7x", b"\x7fELF", 2, 1, 1, 0, 0)
    out += struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, entry, 64, 0, 0, 64, 56, len(segments), 0, 0, 0)
    at = head
    for address, data, memory in segments:
        out += struct.pack("<IIQQQQQQ", 1, 7, at, address, address, len(data), memory, PAGE)
        at += len(data)
    return out + b"".join(data for _, data, _ in segments)


def noise(seed, size):
    return random.Random(seed).randbytes(size)


SHIM = elf([(0x80000, noise(1, 5000), 9000)], 0x80010)
KERNEL_TEXT, KERNEL_DATA = noise(2, 3 * PAGE + 7), bytes(PAGE) + noise(3, 100)
KERNEL = elf([(0x1000000, KERNEL_TEXT, len(KERNEL_TEXT)), (0x1200000, KERNEL_DATA, 0x5000)],
             0x1000100)
INITRD = noise(4, 2 * PAGE + 1)
RESET = noise(5, PAGE)


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        for name, data in (("shim", SHIM), ("kernel", KERNEL), ("initrd", INITRD),
                           ("reset", RESET), ("guest", noise(6, 5 * PAGE + 10))):
            self.write(name, data)

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def write(self, name, data):
        with open(self.path(name), "wb") as f:
            f.write(data)

    def tool(self, *args, status=0, **options):
        run = subprocess.run([TOOL, *args], capture_output=True, text=True, check=False,
                             cwd=self.folder.name, timeout=120, **options)
        self.assertEqual(run.returncode, status, run.stderr + run.stdout)
        return run.stdout if status == 0 else run.stdout + run.stderr

    def build(self, isolation="none", name="image", **keys):
        keys = {"shim": "shim", "kernel": "kernel", "initrd": "initrd", "cmdline": "a b  c", **keys}
        if isolation == "tdx":
            keys.setdefault("reset-vector", "reset")
        text = f"# a comment\nisolation {isolation}\n"
        text += "".join(f"{k} {v}\n" for k, v in keys.items() if v is not None)
        self.write("manifest", text.encode())
        self.tool("build", "manifest", name)
        with open(self.path(name), "rb") as f:
            return spec.File(f.read())

    def measured(self, name="image"):
        """{platform: digest} as igvmtool says."""
        lines = self.tool("measure", name).splitlines()
        return {line.split(":")[0]: line.split()[-1] for line in lines}

    def check_measurements(self, file, name="image"):
        said = self.measured(name)
        for platform, (number, measure) in spec.MEASURE.items():
            if file.mask(number):
                self.assertEqual(said.pop(platform), measure(file), platform)
        self.assertTrue(all(v == "measured" for v in said.values()), said)

    def check_dump(self, file, name="image"):
        dump = json.loads(self.tool("dump", "--json", name))
        self.assertEqual(dump["format_version"], file.version)
        self.assertEqual(len(dump["headers"]), len(file.headers))
        for theirs, ours in zip(dump["headers"], file.headers):
            self.assertEqual((theirs["number"], theirs["offset"], theirs["length"]),
                             (ours.type, ours.offset, ours.length))
            for field, value in ours.items():
                expected = value.hex() if isinstance(value, bytes) else value
                if isinstance(value, bytes):
                    expected = expected[:128]
                self.assertEqual(theirs[field] if not isinstance(value, bytes)
                                 else theirs[field][:len(expected)], expected, field)


def read(pages, gpa, size):
    out = b""
    for at in range(gpa // PAGE * PAGE, gpa + size, PAGE):
        out += pages.get(at, bytes(PAGE))
    return out[gpa % PAGE:gpa % PAGE + size]


def parameters(pages, base=BASE):
    """struct shim_params, by docs/shim.md."""
    names = ("vp_count memory_map device_tree host_command_line command_line entry_tables work "
             "kernel").split()
    values = struct.unpack("<QIIIIQ16QQ2Q8Q", read(pages, base, 248))
    p = dict(zip(("magic", "version", "flags", "isolation", "svn", "region_len"), values))
    for i, name in enumerate(names):
        p[name] = values[6 + 2 * i:8 + 2 * i]
    p["entry"], p["initrd"] = values[22], values[23:25]
    p["payload"] = [values[25 + 2 * i:27 + 2 * i] for i in range(4)]
    return p


class Build(Case):
    ISOLATIONS = {"none": spec.VSM, "vbs": spec.VSM, "snp": spec.SNP, "tdx": spec.TDX}

    def check_content(self, file, platform, isolation):
        pages = file.memory(file.mask(platform))
        p = parameters(pages)
        self.assertEqual(p["magic"], int.from_bytes(b"ENTSHIM", "little"))
        self.assertEqual((p["version"], p["svn"]), (1, 7))
        self.assertEqual(p["isolation"], list(self.ISOLATIONS).index(isolation))
        self.assertEqual(p["flags"], 0 if isolation == "none" else 1)
        self.assertEqual(read(pages, BASE + p["command_line"][0], p["command_line"][1]), b"a b  c")
        self.assertEqual(read(pages, BASE + p["initrd"][0], p["initrd"][1]), INITRD)
        self.assertEqual(read(pages, BASE + 0x80000, 9000), noise(1, 5000) + bytes(4000))
        kernel = BASE + p["kernel"][0]
        self.assertEqual(p["kernel"], (0x200000, 0x205000))
        self.assertEqual(p["entry"], 0x200100)
        self.assertEqual(read(pages, kernel, len(KERNEL_TEXT)), KERNEL_TEXT)
        self.assertEqual(read(pages, kernel + 0x200000, len(KERNEL_DATA)), KERNEL_DATA)
        self.assertNotIn(kernel + 0x202000, pages, ".bss is not in the file")
        self.check_tables(pages, BASE + p["entry_tables"][0], p["region_len"],
                          [0xffe00000] if isolation == "tdx" else [])
        self.check_areas(file, p)
        guest, at = noise(6, 5 * PAGE + 10), p["payload"][0]
        self.assertEqual(read(pages, *at), guest)
        self.assertEqual(read(pages, *p["payload"][2]), b"guest words")
        if isolation == "tdx":
            self.assertEqual(read(pages, 0xfffff000, 16),
                             struct.pack("<QQ", BASE + 0x80010, BASE + p["entry_tables"][0]))
            self.assertEqual(read(pages, 0xfffff010, PAGE - 16), RESET[16:])

    def check_tables(self, pages, root, size, also):
        """Each 2 MiB of the region is mapped at its own address, TDX's reset vector, and nothing else."""
        mapped = []

        def walk(table, level, virtual):
            for i, entry in enumerate(struct.unpack("<512Q", pages[table])):
                at = virtual + (i << 12 + 9 * level)
                if entry & 0x80:
                    self.assertEqual((level, entry), (1, at | 0x83))
                    mapped.append(at)
                elif entry:
                    walk(entry & ~0xfff, level - 1, at)

        walk(root, 3, 0)
        self.assertEqual(mapped, list(range(BASE, BASE + size, 0x200000)) + also)

    def check_areas(self, file, p):
        inserts = {h["parameter_area_index"]: h["gpa"] for h in file.of("parameter-insert")}
        for name, key in (("vp-count", "vp_count"), ("memory-map", "memory_map"),
                          ("device-tree", "device_tree"), ("command-line", "host_command_line")):
            use, = file.of(name)
            area, = [h for h in file.of("parameter-area")
                     if h["parameter_area_index"] == use["parameter_area_index"]]
            self.assertEqual(use["byte_offset"], 0)
            self.assertEqual((inserts[use["parameter_area_index"]] - BASE, area["number_of_bytes"]),
                             p[key])

    def check_relocation(self, file, p):
        region, = file.of("relocatable-region")
        tables, = file.of("page-table-relocation")
        self.assertEqual(region["relocation_region_gpa"] + region["relocation_region_size"],
                         tables["gpa"])
        self.assertEqual(tables["gpa"] + tables["size"], BASE + p["region_len"])
        self.assertEqual(region["relocation_region_gpa"], BASE)
        self.assertEqual((region["flags"], region["vtl"]), (3, 2))

    def test_every_isolation(self):
        for isolation, platform in self.ISOLATIONS.items():
            for version in (1, 2):
                with self.subTest(isolation=isolation, version=version):
                    file = self.build(isolation, format=version, svn=7,
                                      **{"vtl0-kernel": "guest", "vtl0-cmdline": "guest words"})
                    self.assertEqual(file.version, version)
                    self.check_content(file, platform, isolation)
                    self.check_measurements(file)
                    self.check_dump(file)
                    if isolation == "none":
                        self.check_relocation(file, parameters(file.memory(1)))
                    else:
                        self.assertEqual(file.of("relocatable-region"), [])

    def test_vtl0_top(self):
        file = self.build(**{"vtl0-kernel": "guest", "vtl0-initrd": "initrd",
                             "vtl0-top": "0x20000000"})
        kernel, initrd = parameters(file.memory(1))["payload"][:2]
        self.assertEqual(initrd, (0x20000000 - 3 * PAGE, len(INITRD)))
        self.assertEqual(kernel, (0x20000000 - 9 * PAGE, 5 * PAGE + 10))

    def test_firmware(self):
        firmware = noise(7, 3 * PAGE)
        self.write("firmware", firmware)
        for isolation, platform in self.ISOLATIONS.items():
            if isolation == "tdx":
                continue
            with self.subTest(isolation=isolation):
                file = self.build(isolation, **{"vtl0-firmware": "firmware"})
                pages = file.memory(file.mask(platform))
                payload = parameters(pages)["payload"]
                self.assertEqual(payload[3], (0xffffd000, 3 * PAGE))
                self.assertEqual(payload[:3], [(0, 0)] * 3)
                self.assertEqual(read(pages, *payload[3]), firmware)
                self.check_measurements(file)
        self.tool("extract", "image", "vtl0-firmware", "out")
        with open(self.path("out"), "rb") as f:
            self.assertEqual(f.read(), firmware)

    def test_sidecar(self):
        file = self.build("snp")
        with open(self.path("image.json"), encoding="utf-8") as f:
            side = json.load(f)
        self.assertEqual(side["measurement"]["digest"], spec.snp_launch_digest(file))
        self.assertEqual(side["image"]["sha256"], spec.hashlib.sha256(file.data).hexdigest())
        sums = {c["name"]: c["sha256"] for c in side["components"]}
        self.assertEqual(sums["kernel"], spec.hashlib.sha256(KERNEL).hexdigest())
        self.assertEqual(sums["initrd"], spec.hashlib.sha256(INITRD).hexdigest())

    def test_same_bytes_elsewhere(self):
        first = self.build("vbs").data
        with open(self.path("image.json"), "rb") as f:
            side = f.read()
        os.makedirs(self.path("another/place"))
        for name in ("shim", "kernel", "initrd"):
            os.rename(self.path(name), self.path("another/place/" + name))
            os.utime(self.path("another/place/" + name), (1, 1))
        env = {**os.environ, "LC_ALL": "tr_TR.UTF-8", "TZ": "Asia/Kathmandu", "USER": "another"}
        manifest = "isolation vbs\n" + "".join(
            f"{n} another/place/{n}\n" for n in ("shim", "kernel", "initrd")) + "cmdline a b  c\n"
        self.write("other", manifest.encode())
        self.tool("build", "other", "another/image", env=env)
        with open(self.path("another/image"), "rb") as f:
            self.assertEqual(f.read(), first)
        with open(self.path("another/image.json"), "rb") as f:
            self.assertEqual(f.read(), side)

    def test_refusals(self):
        good = "shim shim\nkernel kernel\n"
        self.write("badshim", elf([(0x90000, b"x" * 100, 100)], 0x90000))
        self.write("bigshim", elf([(0x80000, b"x" * 100, 0x90000)], 0x80000))
        self.write("cut", KERNEL[:-1])
        self.write("wide", elf([(0x1000000, b"x", 1), (0x20000000, b"x", 1)], 0x1000000))
        self.write("empty", b"")
        self.write("firmware", bytes(PAGE))
        self.write("large", bytes(0x1001000))
        for text, reason in (
                ("shim shim\n", "no shim or no kernel given"),
                (good + "what ever\n", "unknown key"),
                (good + "svn 1\nsvn 1\n", "comes twice"),
                (good + "svn\n", "bad value"),
                (good + "svn 1x\n", "bad value"),
                (good + "svn 4294967296\n", "bad value"),
                (good + "debug maybe\n", "bad value"),
                (good + "isolation sgx\n", "bad value"),
                (good + "format 3\n", "format"),
                (good + "base 0x1000\n", "2 MiB"),
                (good + "memory 4M\n", "needs"),
                (good + "memory 64G\n", "page tables"),
                (good + "isolation tdx\n", "reset-vector"),
                (good + "reset-vector reset\n", "reset-vector"),
                (good + "isolation tdx\nreset-vector initrd\n", "4096"),
                (good + "isolation tdx\nreset-vector reset\nbase 0x100000000\n", "4 GiB"),
                (good + "vtl0-initrd initrd\n", "without vtl0-kernel"),
                (good + "vtl0-kernel guest\nvtl0-from-host yes\n", "left to the host"),
                (good + "vtl0-base 4M\nvtl0-top 8M\n", "exclude"),
                (good + "vtl0-firmware guest\n", "not whole pages"),
                (good + "vtl0-firmware empty\n", "empty"),
                (good + "vtl0-firmware large\n", "more than 16 MiB"),
                (good + "vtl0-firmware firmware\nvtl0-kernel guest\n", "exclude"),
                (good + "vtl0-firmware firmware\nvtl0-cmdline a\n", "without vtl0-kernel"),
                (good + "vtl0-firmware firmware\nvtl0-from-host yes\n", "left to the host"),
                (good + "isolation vbs\nbase 0xffe00000\nvtl0-firmware firmware\n", "VTL2's region"),
                (good + "isolation tdx\nreset-vector reset\nvtl0-firmware firmware\n", "not for tdx"),
                (good + "isolation vbs\nvtl0-kernel guest\nvtl0-base 0x8100000\n", "VTL2's region"),
                (good + "vtl0-kernel guest\nvtl0-top 4K\n", "fit below"),
                (good + "cmdline " + "x" * 2048 + "\n", "longer"),
                (good + "initrd empty\n", "empty"),
                (good + "initrd nowhere\n", "No such file"),
                ("shim badshim\nkernel kernel\n", "linked at"),
                ("shim bigshim\nkernel kernel\n", "ends at"),
                ("shim initrd\nkernel kernel\n", "ELF"),
                ("shim shim\nkernel cut\n", "outside the file"),
                ("shim shim\nkernel wide\n", "more than 256 MiB")):
            with self.subTest(reason=reason):
                self.write("manifest", text.encode())
                self.assertIn(reason, self.tool("build", "manifest", "refused", status=1))
                self.assertFalse(os.path.exists(self.path("refused")))


class Tools(Case):
    def test_diff(self):
        self.build(name="a")
        self.build(name="b")
        self.assertEqual(self.tool("diff", "a", "b"), "no difference\n")
        self.build(name="b", cmdline="a b  d")
        self.assertEqual(self.tool("diff", "a", "b", status=1), "cmdline: content differs\n")
        self.write("initrd2", INITRD + b"x" * PAGE)
        self.build(name="b", initrd="initrd2")
        self.assertIn("initrd: 8193 bytes, then 12289", self.tool("diff", "a", "b", status=1))
        self.build("vbs", name="b")
        self.assertIn("headers: differ", self.tool("diff", "a", "b", status=1))
        self.build(name="b", initrd=None)
        self.assertIn("initrd: only in a", self.tool("diff", "a", "b", status=1))

        self.assertIn("No such file", self.tool("diff", "a", "nowhere", status=2))

    def test_extract(self):
        self.build()
        self.assertIn("initrd\n", self.tool("extract", "image"))
        self.tool("extract", "image", "initrd", "out")
        with open(self.path("out"), "rb") as f:
            self.assertEqual(f.read(), INITRD)
        self.assertIn("has no 'vtl0-kernel'",
                      self.tool("extract", "image", "vtl0-kernel", "out", status=1))

    def test_dump_for_people(self):
        self.build()
        text = self.tool("dump", "image")
        self.assertIn("IGVM version 1", text)
        self.assertRegex(text, r"page-data +gpa 0x8080000\.\.0x8083000 mask 0x1: 3 pages, 1 of")

    def test_not_a_file(self):
        self.assertIn("not an IGVM file", self.tool("dump", "initrd", status=1))
        self.assertIn("another size",
                      self.tool("dump", self.cut(self.build().data), status=1))

    def cut(self, data):
        self.write("cut", data[:-1])
        return "cut"


def pem(secret):
    """SEC 1's ECPrivateKey of P-384, without the public key."""
    body = bytes.fromhex("020101" "0430") + secret.to_bytes(48, "big")
    body += bytes.fromhex("a00706052b81040022")
    text = base64.b64encode(bytes([0x30, len(body)]) + body).decode()
    return f"-----BEGIN EC PRIVATE KEY-----\n{text}\n-----END EC PRIVATE KEY-----\n".encode()


def little(data):
    return int.from_bytes(data, "little")


def big(data):
    return int.from_bytes(data, "big")


class Sign(Case):
    ID, AUTHOR = 0x1234567 << 300 | 99, 0xabcdef << 350 | 7

    def setUp(self):
        super().setUp()
        self.write("id", pem(self.ID))
        self.write("author", pem(self.AUTHOR))

    def signed(self, *options):
        self.tool("sign", "--key", "id", *options, "image", "signed")
        with open(self.path("signed"), "rb") as f:
            return spec.File(f.read())

    def public(self, data):
        self.assertEqual(data[:8], struct.pack("<II", 2, 0))
        return little(data[8:80]), little(data[80:])

    def check_snp(self, file, svn):
        block, = file.of("snp-id-block")
        message = bytes.fromhex(spec.snp_launch_digest(file)) + block["family_id"]
        message += block["image_id"] + struct.pack("<IIQ", 1, svn, 0x30000)
        self.assertEqual(len(message), 96)
        key = self.public(block["id_public_key"])
        self.assertEqual(key, spec.p384_multiply(self.ID, spec.P384_G))
        r, s = block["id_key_signature"][:72], block["id_key_signature"][72:]
        self.assertTrue(spec.p384_verify(key, message, little(r), little(s)))
        self.assertFalse(spec.p384_verify(key, message + b"x", little(r), little(s)))
        return block

    def test_snp(self):
        self.build("snp", svn=5)
        self.check_snp(self.signed(), 5)
        block = self.check_snp(self.signed("--svn", "9", "--image-id", "11" * 16), 9)
        self.assertEqual(block["image_id"], b"\x11" * 16)
        self.assertEqual(block["author_key_enabled"], 0)

    def test_snp_author(self):
        self.build("snp", svn=5)
        block = self.check_snp(self.signed("--author-key", "author"), 5)
        id_key = block["id_public_key"]
        message = id_key[:4] + id_key[8:] + bytes(880)
        key = self.public(block["author_public_key"])
        self.assertEqual(key, spec.p384_multiply(self.AUTHOR, spec.P384_G))
        r, s = block["author_key_signature"][:72], block["author_key_signature"][72:]
        self.assertTrue(spec.p384_verify(key, message, little(r), little(s)))

    def test_vbs(self):
        self.build("vbs", svn=5)
        file = self.signed()
        m, = file.of("vbs-measurement")
        digest = bytes.fromhex(spec.vbs_digest(file))
        self.assertEqual(m["boot_measurement_digest"], digest + bytes(32))
        message = struct.pack("<7I", 1, 1, 1, 5, 0, 1, 1) + digest
        key = big(m["public_key"][:48]), big(m["public_key"][48:96])
        self.assertEqual(key, spec.p384_multiply(self.ID, spec.P384_G))
        r, s = m["signature"][:48], m["signature"][48:96]
        self.assertTrue(spec.p384_verify(key, message, big(r), big(s)))

    def test_signed_again(self):
        """The same bytes each time; a signature does not change what is measured or what was there."""
        for isolation in ("vbs", "snp"):
            self.build(isolation)
            before = self.measured()
            first = self.signed().data
            self.assertEqual(before, self.measured("signed"))
            self.assertIn("headers: more of them in signed",
                          self.tool("diff", "image", "signed", status=1))
            os.replace(self.path("signed"), self.path("image"))
            self.assertEqual(self.signed().data, first)

    def test_changed_after_signing(self):
        for isolation in ("vbs", "snp"):
            self.build(isolation)
            data = bytearray(self.signed().data)
            data[data.index(INITRD)] ^= 1
            self.write("signed", data)
            self.assertIn("signed was another digest", self.tool("measure", "signed", status=1))

    def test_refusals(self):
        self.build("tdx")
        sign = ("sign", "--key", "id")
        self.assertIn("takes a signature", self.tool(*sign, "image", "signed", status=1))
        self.build("vbs")
        self.assertIn("P-384", self.tool("sign", "--key", "kernel", "image", "signed", status=1))
        self.assertIn("only SNP", self.tool(*sign, "--author-key", "author", "image", "signed",
                                            status=1))
        self.assertIn("--svn", self.tool(*sign, "--svn", "x", "image", "signed", status=1))
        self.assertIn("--image-id", self.tool(*sign, "--image-id", "12", "image", "signed",
                                              status=1))


class Foreign(Case):
    """Files that our writer did not make, with what our builder never uses."""

    def random_file(self, rng):
        w = spec.Writer(rng.choice((1, 2)))
        platforms = rng.sample((spec.VSM, spec.SNP, spec.TDX), rng.randint(1, 3))
        masks = {p: 1 << rng.randrange(8 * i, 8 * i + 8) for i, p in enumerate(platforms)}
        every = sum(masks.values())
        for p, mask in masks.items():
            w.add("supported-platform", compatibility_mask=mask, platform_type=p, highest_vtl=2,
                  platform_version=1)
        if spec.SNP in masks:
            w.add("guest-policy", policy=0x30000, compatibility_mask=masks[spec.SNP])
        gpa = 0x100000
        for i in range(rng.randint(1, 30)):
            gpa += PAGE * rng.randint(1, 3)
            kind = rng.randrange(8)
            mask = rng.choice((every, *masks.values()))
            if kind < 4:
                flags = rng.choice((0, 0, spec.FLAG_UNMEASURED, spec.FLAG_SHARED))
                at = rng.choice((0, w.blob(rng.randbytes(PAGE))))
                w.add("page-data", gpa=gpa, compatibility_mask=mask, file_offset=at, flags=flags)
            elif kind == 4 and spec.SNP in masks:
                w.add("page-data", gpa=gpa, compatibility_mask=masks[spec.SNP],
                      data_type=rng.randint(1, 3))
            elif kind == 5:
                size = PAGE * rng.randint(1, 3)
                at = rng.choice((0, w.blob(rng.randbytes(size))))
                w.add("parameter-area", number_of_bytes=size, parameter_area_index=i * 7,
                      file_offset=at)
                w.add(rng.choice(list(spec.PARAMETERS.values())), parameter_area_index=i * 7,
                      byte_offset=rng.randrange(0, size - 32))
                w.add("parameter-insert", gpa=gpa, compatibility_mask=mask,
                      parameter_area_index=i * 7)
                gpa += size
            elif kind == 6:
                w.add("error-range", gpa=gpa, compatibility_mask=mask, size_bytes=2 * PAGE)
                gpa += PAGE
            else:
                w.add("required-memory", gpa=gpa, compatibility_mask=mask, number_of_bytes=PAGE,
                      flags=rng.randrange(2))
        if spec.SNP in masks:
            w.add("vp-context", gpa=gpa + PAGE, compatibility_mask=masks[spec.SNP],
                  file_offset=w.blob(rng.randbytes(PAGE)))
        if spec.VSM in masks:
            registers = b"".join(struct.pack("<BI11x", 2, rng.choice((0x40000, 0x40002, 0x20010))) +
                                 rng.randbytes(8) + bytes(8) for _ in range(3))
            w.add("vp-context", compatibility_mask=masks[spec.VSM],
                  file_offset=w.blob(struct.pack("<I", 3) + registers))
        return w.bytes()

    def test_random_files(self):
        for seed in range(60):
            with self.subTest(seed=seed):
                data = self.random_file(random.Random(seed))
                self.write("image", data)
                file = spec.File(data)
                self.check_measurements(file)
                self.check_dump(file)

    def test_large_page(self):
        w = spec.Writer()
        for i, p in enumerate((spec.VSM, spec.SNP, spec.TDX)):
            w.add("supported-platform", compatibility_mask=1 << i, platform_type=p,
                  platform_version=1, highest_vtl=2)
        w.add("page-data", gpa=0x200000, compatibility_mask=7, flags=spec.FLAG_2MB,
              file_offset=w.blob(noise(9, 0x200000)))
        w.add("page-data", gpa=0x400000, compatibility_mask=7, flags=spec.FLAG_2MB)
        self.write("image", w.bytes())
        self.check_measurements(spec.File(w.bytes()))

    def test_page_twice(self):
        w = spec.Writer()
        w.add("supported-platform", compatibility_mask=1, platform_type=spec.VSM,
              platform_version=1, highest_vtl=2)
        for _ in range(2):
            w.add("page-data", gpa=0x200000, compatibility_mask=1)
        self.write("image", w.bytes())
        self.assertIn("filled twice", self.tool("measure", "image", status=1))


class GivenImages(Case):
    def test_given_images(self):
        for path in IMAGES:
            with self.subTest(image=path):
                path = os.path.abspath(path)
                with open(path, "rb") as f:
                    file = spec.File(f.read())
                self.check_measurements(file, path)
                self.check_dump(file, path)


if __name__ == "__main__":
    TOOL = os.path.abspath(sys.argv[1])
    IMAGES = [os.path.abspath(image) for image in sys.argv[2:]]
    result = unittest.main(argv=sys.argv[:1], exit=False).result
    bad = len({getattr(test, "test_case", test).id() for test, _ in result.failures + result.errors})
    print(f"igvm: {result.testsRun - bad} passed, {bad} failed")
    sys.exit(bad != 0)
