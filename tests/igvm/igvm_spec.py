"""IGVM files, read and written straight from the specification, and what platforms measure of them.

A second implementation to check igvmtool against: written from the text of the format (the igvm_defs
crate's documentation), of the SEV-SNP firmware ABI and of the TDX module, not from ours. It is slow and
plain on purpose.
"""

import hashlib
import struct
import zlib

PAGE = 4096

# type: (name, layout of the content, names of its fields)
HEADERS = {
    0x001: ("supported-platform", "<IBBHQ",
            "compatibility_mask highest_vtl platform_type platform_version shared_gpa_boundary"),
    0x101: ("guest-policy", "<QII", "policy compatibility_mask _"),
    0x102: ("relocatable-region", "<IHBBQQQQQ",
            "compatibility_mask vp_index vtl flags relocation_alignment relocation_region_gpa "
            "relocation_region_size minimum_relocation_gpa maximum_relocation_gpa"),
    0x103: ("page-table-relocation", "<IHBBQQQ",
            "compatibility_mask vp_index vtl _ gpa size used_size"),
    0x301: ("parameter-area", "<QII", "number_of_bytes parameter_area_index file_offset"),
    0x302: ("page-data", "<QIIIHH", "gpa compatibility_mask file_offset flags data_type _"),
    0x303: ("parameter-insert", "<QII", "gpa compatibility_mask parameter_area_index"),
    0x304: ("vp-context", "<QIIHH", "gpa compatibility_mask file_offset vp_index _"),
    0x305: ("required-memory", "<QIIII", "gpa compatibility_mask number_of_bytes flags _"),
    0x30b: ("snp-id-block", "<IB3s48s16s16sIIII144s152s144s152s",
            "compatibility_mask author_key_enabled _ ld family_id image_id version guest_svn "
            "id_key_algorithm author_key_algorithm id_key_signature id_public_key "
            "author_key_signature author_public_key"),
    0x30d: ("error-range", "<QII", "gpa compatibility_mask size_bytes"),
    0x311: ("vbs-measurement", "<IIIIIIII64s256s512s",
            "compatibility_mask version product_id module_id security_version policy_flags "
            "boot_digest_algo signing_algo boot_measurement_digest signature public_key"),
}
PARAMETERS = {0x307: "vp-count", 0x308: "srat", 0x309: "madt", 0x30a: "mmio-ranges",
              0x30c: "memory-map", 0x30e: "command-line", 0x30f: "slit", 0x310: "pptt",
              0x312: "device-tree", 0x313: "environment-info"}
for _type, _name in PARAMETERS.items():
    HEADERS[_type] = (_name, "<II", "parameter_area_index byte_offset")
NUMBERS = {name: number for number, (name, _, _) in HEADERS.items()}

NATIVE, VSM, SNP, TDX = range(4)
FLAG_2MB, FLAG_UNMEASURED, FLAG_SHARED = 1, 2, 4
SECRETS, CPUID_DATA, CPUID_XF = 1, 2, 3


class Header(dict):
    """Fields by name; .type, .offset, .length as in the file."""


class File:
    def __init__(self, data):
        self.data = data
        magic, version, start, size, total, checksum = struct.unpack_from("<6I", data)
        assert magic == 0x4D564749 and version in (1, 2) and total == len(data)
        fixed = 24 if version == 1 else 32
        if version == 2:
            assert struct.unpack_from("<II", data, 24) == (0, PAGE)
        assert start >= fixed and start % 8 == 0 and start + size <= total
        summed = data[:20] + bytes(4) + data[24:fixed] + data[start:start + size]
        assert zlib.crc32(summed) == checksum, "checksum"
        self.version = version
        self.headers = []
        section, at = 0, start
        while at < start + size:
            header = self.read(at)
            new = 0 if header.type <= 0x100 else 1 if header.type <= 0x200 else 2
            assert new >= section, "order of sections"
            section, at = new, header.offset + (header.length + 7) // 8 * 8
            self.headers.append(header)
        assert at == start + size

    def read(self, at):
        kind, length = struct.unpack_from("<II", self.data, at)
        assert kind in HEADERS, hex(kind)
        _, layout, names = HEADERS[kind]
        assert struct.calcsize(layout) == length
        header = Header(zip(names.split(), struct.unpack_from(layout, self.data, at + 8)))
        header.type, header.offset, header.length = kind, at + 8, length
        assert header.pop("_", 0) in (0, bytes(3)), "reserved"
        padding = self.data[at + 8 + length:at + 8 + (length + 7) // 8 * 8]
        assert not any(padding)
        return header

    def of(self, name):
        return [h for h in self.headers if h.type == NUMBERS[name]]

    def mask(self, platform):
        masks = [h["compatibility_mask"] for h in self.of("supported-platform")
                 if h["platform_type"] == platform]
        return masks[0] if masks else 0

    def page(self, header):
        """The bytes of a page data header."""
        size = 0x200000 if header["flags"] & FLAG_2MB else PAGE
        at = header["file_offset"]
        return self.data[at:at + size] if at else bytes(size)

    def memory(self, mask):
        """{page-aligned GPA: page} as the file fills it; no page twice."""
        pages = {}
        for header in self.of("page-data"):
            if not header["compatibility_mask"] & mask:
                continue
            data = self.page(header)
            for at in range(0, len(data), PAGE):
                assert header["gpa"] + at not in pages, "page twice"
                pages[header["gpa"] + at] = data[at:at + PAGE]
        return pages

    def steps(self, mask):
        """What a loader imports, page by page in order: (kind, gpa, contents)."""
        areas = {}
        for h in self.headers:
            if h.type == NUMBERS["parameter-area"]:
                areas[h["parameter_area_index"]] = h["number_of_bytes"]
            if not h.get("compatibility_mask", 0) & mask:
                continue
            if h.type == NUMBERS["page-data"]:
                data = self.page(h)
                kind = ("shared" if h["flags"] & FLAG_SHARED else
                        {SECRETS: "secrets", CPUID_DATA: "cpuid",
                         CPUID_XF: "cpuid"}.get(h["data_type"]) or
                        ("unmeasured" if h["flags"] & FLAG_UNMEASURED else "normal"))
                for at in range(0, len(data), PAGE):
                    yield kind, h["gpa"] + at, data[at:at + PAGE]
            elif h.type == NUMBERS["parameter-insert"]:
                for at in range(0, areas[h["parameter_area_index"]], PAGE):
                    yield "unmeasured", h["gpa"] + at, None
            elif h.type == NUMBERS["error-range"]:
                for at in range(0, h["size_bytes"], PAGE):
                    yield "error", h["gpa"] + at, None
            elif h.type == NUMBERS["vp-context"]:
                yield "context", h["gpa"], self.data[h["file_offset"]:]


def snp_launch_digest(file):
    """SNP firmware ABI, SNP_LAUNCH_UPDATE: each page's PAGE_INFO is hashed with the digest so far."""
    types = {"normal": 1, "context": 2, "unmeasured": 4, "secrets": 5, "cpuid": 6}
    digest = bytes(48)
    for kind, gpa, data in file.steps(file.mask(SNP)):
        if kind not in types:
            continue
        measured = kind in ("normal", "context")
        contents = hashlib.sha384(data[:PAGE]).digest() if measured else bytes(48)
        info = digest + contents
        info += (0x70).to_bytes(2, "little")        # LENGTH
        info += bytes([types[kind], 0, 0])          # PAGE_TYPE, IMI_PAGE, reserved
        info += bytes(3)                            # permissions of VMPL 3, 2, 1
        info += gpa.to_bytes(8, "little")
        assert len(info) == 0x70
        digest = hashlib.sha384(info).digest()
    return digest.hex()


def tdx_mrtd(file):
    """TDX module: TDH.MEM.PAGE.ADD and TDH.MR.EXTEND each extend MRTD by a buffer of 128 bytes, the
    latter also by its 256 bytes of page in two halves; TDH.MR.FINALIZE ends the SHA-384."""
    sha = hashlib.sha384()

    def buffer(name, gpa):
        text = bytearray(128)
        text[:len(name)] = name
        text[16:24] = gpa.to_bytes(8, "little")
        sha.update(text)

    for kind, gpa, data in file.steps(file.mask(TDX)):
        if kind not in ("normal", "unmeasured"):
            continue
        buffer(b"MEM.PAGE.ADD", gpa)
        if kind == "normal":
            for at in range(0, PAGE, 256):
                buffer(b"MR.EXTEND", gpa + at)
                sha.update(data[at:at + 128])
                sha.update(data[at + 128:at + 256])
    return sha.hexdigest()


def vbs_digest(file):
    """VBS boot measurement: a chain of SHA-256 over chunks; registers come last."""
    digest = bytes(32)
    registers = []

    def extend(chunk):
        nonlocal digest
        digest = hashlib.sha256(digest + chunk).digest()

    for kind, gpa, data in file.steps(file.mask(VSM)):
        if kind == "context":
            count, = struct.unpack_from("<I", data)
            registers += [data[4 + 32 * i:36 + 32 * i] for i in range(count)]
        elif kind != "shared":
            metadata = {"normal": 0, "unmeasured": 4, "error": 7}[kind]
            chunk = struct.pack("<IIQQQ", 32 + PAGE, 2, 0, metadata, gpa // PAGE)
            extend(chunk + (data if kind == "normal" else bytes(PAGE)))
    for register in registers:
        vtl, name = struct.unpack_from("<BI", register)
        extend(struct.pack("<IIQIBBHII", 48, 0, 0, 0, vtl, 0, 0, 0, name) + register[16:])
    return digest.hex()


MEASURE = {"snp": (SNP, snp_launch_digest), "tdx": (TDX, tdx_mrtd), "vsm": (VSM, vbs_digest)}


# ECDSA with NIST P-384 (FIPS 186-5, SP 800-186): only what verifying takes.
P384 = 2**384 - 2**128 - 2**96 + 2**32 - 1
P384_N = 0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973
P384_B = 0xb3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aef
P384_G = (0xaa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7,
          0x3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c90ea0e5f)


def p384_add(a, b):
    if a is None or b is None:
        return a or b
    if a[0] == b[0] and (a[1] + b[1]) % P384 == 0:
        return None
    if a == b:
        slope = (3 * a[0] * a[0] - 3) * pow(2 * a[1], -1, P384)
    else:
        slope = (b[1] - a[1]) * pow(b[0] - a[0], -1, P384)
    x = (slope * slope - a[0] - b[0]) % P384
    return x, (slope * (a[0] - x) - a[1]) % P384


def p384_multiply(k, point):
    result = None
    while k:
        if k & 1:
            result = p384_add(result, point)
        point, k = p384_add(point, point), k >> 1
    return result


def p384_verify(public, message, r, s):
    x, y = public
    assert (y * y - x * x * x + 3 * x - P384_B) % P384 == 0, "not on the curve"
    assert 0 < r < P384_N and 0 < s < P384_N
    w = pow(s, -1, P384_N)
    e = int.from_bytes(hashlib.sha384(message).digest(), "big")
    point = p384_add(p384_multiply(e * w % P384_N, P384_G), p384_multiply(r * w % P384_N, public))
    return point is not None and point[0] % P384_N == r


class Writer:
    """Writes files; fields are given by name, what is not given is 0."""

    def __init__(self, version=1):
        self.version, self.list, self.blobs = version, [], []

    def blob(self, data):
        """Returns a stand-in for the offset of `data` in the file."""
        self.blobs.append(data)
        return ("blob", len(self.blobs) - 1)

    def add(self, name, **fields):
        self.list.append((NUMBERS[name], fields))

    def encode(self, offsets):
        out = b""
        for kind, fields in self.list:
            _, layout, names = HEADERS[kind]
            values = []
            for i, name in enumerate(names.split()):
                value = fields.get(name, 0)
                if isinstance(value, tuple):
                    value = offsets[value[1]]
                code = struct.unpack(layout, bytes(struct.calcsize(layout)))[i]
                values.append(code if value == 0 and isinstance(code, bytes) else value)
            content = struct.pack(layout, *values)
            out += struct.pack("<II", kind, len(content)) + content + bytes(-len(content) % 8)
        return out

    def bytes(self):
        fixed = 24 if self.version == 1 else 32
        size = len(self.encode([0] * len(self.blobs)))
        offsets, at = [], fixed + size
        for blob in self.blobs:
            offsets.append(at)
            at += len(blob)
        headers = self.encode(offsets)
        tail = b"" if self.version == 1 else struct.pack("<II", 0, PAGE)
        head = [0x4D564749, self.version, fixed, size, at, 0]
        head[5] = zlib.crc32(struct.pack("<6I", *head) + tail + headers)
        return struct.pack("<6I", *head) + tail + headers + b"".join(self.blobs)
