#!/usr/bin/python3
"""Fetches the vendored libraries from the npm registry and compares them with the files of this tree.

    web/vendor/fetch.py            # compares; exit status 1 where something differs
    web/vendor/fetch.py --write    # writes the files anew

npm fetches where it is installed, from the registry that it is configured for; otherwise Python asks
registry.npmjs.org. Either way the archive must have the digest below, which the registry publishes as `integrity`.
"""

import argparse
import base64
import hashlib
import io
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.request

TOP = pathlib.Path(__file__).resolve().parents[2]
REGISTRY = "https://registry.npmjs.org"
SOURCE_MAP = re.compile(rb"//# sourceMappingURL=\S+\n?")

# Package: version, sha512 of the archive, {file of the archive: file of this tree}.
PACKAGES = {
    "lit-html": ("3.3.3", "el8M6jK2o3RXBnrSHX3ZKrsN8zEV63pSExTO1wYJz7QndGYZ8353e2a5PPX+qHe2aGayfnchQmkAojaWAREOIA==",
                 {"lit-html.js": "web/vendor/lit/lit-html.js", "LICENSE": "web/vendor/lit/LICENSE"}),
    "lit-element": ("4.2.2", "aFKhNToWxoyhkNDmWZwEva2SlQia+jfG0fjIWV//YeTaWrVnOxD89dPKfigCUspXFmjzOEUQpOkejH5Ly6sG0w==",
                    {"lit-element.js": "web/vendor/lit/lit-element.js"}),
    "@lit/reactive-element": (
        "2.1.2", "pbCDiVMnne1lYUIaYNN5wrwQXDtHaYtg7YEFPeW+hws6U47WeFvISGUWekPGKWOP1ygrs0ef0o1VJMk1exos5A==",
        {"reactive-element.js": "web/vendor/lit/reactive-element.js", "css-tag.js": "web/vendor/lit/css-tag.js"}),
    "axe-core": ("4.14.1", "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==",
                 {"axe.min.js": "tests/web/vendor/axe.min.js", "LICENSE": "tests/web/vendor/LICENSE"}),
}

# A browser finds a module by its address, not by its package's name: the only edit of the released files.
ADDRESSES = {b'from"@lit/reactive-element"': b'from"./reactive-element.js"', b'from"lit-html"': b'from"./lit-html.js"'}


def archive(name, version, directory):
    if shutil.which("npm"):
        subprocess.run(["npm", "pack", "--silent", f"{name}@{version}"], cwd=directory, check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120)
        return next(pathlib.Path(directory).glob("*.tgz")).read_bytes()
    address = f"{REGISTRY}/{name}/-/{name.split('/')[-1]}-{version}.tgz"
    with urllib.request.urlopen(address, timeout=60) as answer:
        return answer.read()


def as_served(content, path):
    if not path.startswith("web/") or not path.endswith(".js"):
        return content
    for name, address in ADDRESSES.items():
        content = content.replace(name, address)
    return SOURCE_MAP.sub(b"", content)


def released(name):
    """{path in this tree: content} of one package."""
    version, digest, files = PACKAGES[name]
    with tempfile.TemporaryDirectory() as directory:
        packed = archive(name, version, directory)
    found = base64.b64encode(hashlib.sha512(packed).digest()).decode()
    if found != digest:
        raise SystemExit(f"{name} {version}: sha512 of the archive is {found}")
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        return {path: as_served(tar.extractfile(f"package/{inner}").read(), path) for inner, path in files.items()}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", action="store_true")
    write = parser.parse_args().write
    differing = []
    for name in PACKAGES:
        for path, content in released(name).items():
            file = TOP / path
            if write:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
            elif not file.exists() or file.read_bytes() != content:
                differing.append(path)
            print(hashlib.sha256(content).hexdigest(), path)
    for path in differing:
        print(f"differs: {path}", file=sys.stderr)
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
