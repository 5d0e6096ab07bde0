"""What a package of the module is made of: files, version, what is linked into the library and under which licences."""

import json
import os
import pathlib
import platform
import re
import subprocess
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
DOCS = ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE"]


def run(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT).stdout


def build_time():
    """Seconds since 1970: of the last commit, so that the same commit makes the same packages."""
    if "SOURCE_DATE_EPOCH" in os.environ:
        return int(os.environ["SOURCE_DATE_EPOCH"])
    if (ROOT / ".git").exists():
        return int(run("git", "-c", "safe.directory=*", "log", "-1", "--format=%ct"))
    return int((ROOT / "Cargo.lock").stat().st_mtime)


def architecture():
    """As Debian and the OCI name it."""
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


class Module:
    """The built module, and the crates that are linked into it."""

    def __init__(self, library, major):
        self.library = pathlib.Path(library)
        self.major = major
        flags = [] if major == "18" else ["--no-default-features", "--features", f"pg{major}"]
        target = re.search(r"^host: (.*)$", run("rustc", "-vV"), re.MULTILINE).group(1)
        metadata = json.loads(
            run("cargo", "metadata", "--format-version=1", "--locked", "--filter-platform", target, *flags)
        )
        self.crates = {crate["id"]: crate for crate in metadata["packages"]}
        nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
        self.root = next(
            id for id in metadata["workspace_default_members"] if self.crates[id]["name"] == "validator"
        )
        # Build scripts and procedural macros run at the build; they are not in the library.
        self.linked = {}
        queue = [self.root]
        while queue:
            id = queue.pop()
            if id in self.linked:
                continue
            needed = [
                dep["pkg"]
                for dep in nodes[id]["deps"]
                if any(kind["kind"] is None for kind in dep["dep_kinds"]) and not is_macro(self.crates[dep["pkg"]])
            ]
            self.linked[id] = sorted(needed)
            queue += needed

    @property
    def version(self):
        return self.crates[self.root]["version"]

    def files(self):
        """What a PostgreSQL needs: the library, and the extension's files."""
        return [self.library], [ROOT / "validator.control", *sorted((ROOT / "sql").glob("validator--*.sql"))]

    def third_parties(self):
        """The crates of others in the library, sorted."""
        others = [self.crates[id] for id in self.linked if self.crates[id]["source"]]
        return sorted(others, key=lambda crate: (crate["name"], crate["version"]))

    def checksums(self):
        """SHA-256 of each crate as the registry has it, by name and version."""
        lock = tomllib.loads((ROOT / "Cargo.lock").read_text())
        return {(package["name"], package["version"]): package.get("checksum") for package in lock["package"]}

    def licences(self):
        """One text: what is linked into the library, and the words of each licence."""
        parts = ["The library contains these crates, whose licences follow.\n"]
        crates = self.third_parties()
        parts += [f"{crate['name']} {crate['version']}: {crate['license']}\n" for crate in crates]
        texts = {}
        for crate in crates:
            for text in licence_texts(crate):
                texts.setdefault(text, []).append(f"{crate['name']} {crate['version']}")
        for text, names in texts.items():
            parts.append(f"\n{'=' * 78}\n{', '.join(names)}\n{'-' * 78}\n{text}\n")
        return "".join(parts)

    def needed_glibc(self):
        """The oldest glibc that can load the library: the newest version that its table of needed versions names."""
        needed = set(re.findall(r"\bGLIBC_(\S+)", run("objdump", "-p", str(self.library))))
        # Packed relocations (build.rs) use no symbol: their mark stands for the first glibc that can read them.
        needed = {"2.36" if version == "ABI_DT_RELR" else version for version in needed}
        return max(needed, key=lambda version: [int(part) for part in version.split(".")])

    def needed_libraries(self):
        return re.findall(r"NEEDED +(\S+)", run("objdump", "-p", str(self.library)))


def licence_texts(crate):
    """The licences in a crate's folder, with those of foreign code that it carries (aws-lc-sys)."""
    files = pathlib.Path(crate["manifest_path"]).parent.rglob("*")
    name = re.compile(r"(LICEN[CS]E|COPYING|COPYRIGHT|NOTICE|UNLICENSE)([-.](?!rs$|py$|go$).*)?$", re.IGNORECASE)
    texts = [file.read_text(errors="replace").strip() for file in sorted(files) if name.match(file.name) and file.is_file()]
    if texts:
        return dict.fromkeys(texts)
    # Some crates name the licence only.
    if "MIT" not in crate["license"]:
        raise SystemExit(f"{crate['name']} {crate['version']}: no text of its licence {crate['license']}")
    authors = ", ".join(crate["authors"]) or f"the authors of {crate['name']}"
    return [(ROOT / "packaging/mit-license.txt").read_text().strip().replace("<COPYRIGHT HOLDERS>", authors)]


def is_macro(crate):
    return any("proc-macro" in target["kind"] for target in crate["targets"])
