"""Packages the module that `make build` has built. `make package` and `make image` start this.

    build.py package|image LIBRARY POSTGRESQL-MAJOR-VERSION FOLDER
"""

import datetime
import email.utils
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from archive import compress, tar
from contents import DOCS, ROOT, Module, architecture, build_time
from sbom import sbom

MAINTAINER = os.environ.get("MAINTAINER") or "validator maintainers <maintainers@validator.invalid>"
SUMMARY = "OAuth 2.0 token validator for PostgreSQL"
DESCRIPTION = """\
 Decides whether an OAuth 2.0 access token opens a session of PostgreSQL's
 authentication method "oauth": verifies signature, issuer, audience, expiry
 and scopes of JWTs or asks the provider about opaque tokens, and maps claims
 to identities and roles. The provider's keys are cached in shared memory.
"""
# dpkg runs it at installations; it changes nothing.
POSTINST = """\
#!/bin/sh
set -e
if [ "$1" = configure ] && [ -z "$2" ]; then
    cat <<'TEXT'
validator is installed and not yet in use. In postgresql.conf set
    oauth_validator_libraries = 'validator'
    validator.audience = '...'
and name it in a line of pg_hba.conf for the members of a role:
    hostssl all +oauth_users all oauth issuer="https://..." scope="openid ..." validator=validator
Then reload. /usr/share/doc/PACKAGE/README.md says more.
TEXT
fi
"""


def main():
    what, library, major, folder = sys.argv[1:]
    module, folder = Module(library, major), pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    {"package": package, "image": image}[what](module, folder)


def package(module, folder):
    remove(folder, "*.tar.gz", "*.cdx.json", "*.deb", "SHA256SUMS")
    name = f"validator-{module.version}-pg{module.major}-{architecture()}"
    made = [write(folder / f"{name}.tar.gz", tarball(module, name)), write(folder / f"{name}.cdx.json", bill(module))]
    if shutil.which("dpkg-deb"):
        made.append(deb(module, folder))
    else:
        print("skipped: dpkg-deb, for the Debian package, is not on this machine")
    sums = "".join(f"{sha256(path.read_bytes())}  {path.name}\n" for path in made)
    made.append(write(folder / "SHA256SUMS", sums.encode()))
    tell(made)


def tarball(module, name):
    """Laid out as pg_config's folders are named; docs/install.md says where to put them."""
    files = {f"{name}/{path}": content for path, content in extension(module, "lib", "share/extension").items()}
    for document in documents():
        files[f"{name}/{document}"] = (ROOT / document).read_bytes()
    files[f"{name}/THIRD-PARTY-LICENSES"] = module.licences().encode()
    files[f"{name}/sbom.cdx.json"] = bill(module)
    return compress(tar(files))


def deb(module, folder):
    name = f"postgresql-{module.major}-validator"
    documentation = f"usr/share/doc/{name}"
    files = extension(
        module, f"usr/lib/postgresql/{module.major}/lib", f"usr/share/postgresql/{module.major}/extension"
    )
    for document in documents():
        files[f"{documentation}/{document}"] = (ROOT / document).read_bytes()
    files[f"{documentation}/copyright"] = copyright_file(module)
    files[f"{documentation}/THIRD-PARTY-LICENSES.gz"] = compress(module.licences().encode())
    files[f"{documentation}/changelog.gz"] = compress(debian_changelog(module, name))
    del files[f"{documentation}/LICENSE"]  # it is in the file copyright
    files[f"{documentation}/sbom.cdx.json.gz"] = compress(bill(module))
    depends = [f"postgresql-{module.major}", f"libc6 (>= {module.needed_glibc()})", "ca-certificates"]
    if "libgcc_s.so.1" in module.needed_libraries():
        depends.insert(2, "libgcc-s1")
    control = f"""\
Package: {name}
Version: {module.version}
Architecture: {architecture()}
Maintainer: {MAINTAINER}
Installed-Size: {sum(len(content) for content in files.values()) // 1024 + 1}
Depends: {", ".join(depends)}
Section: database
Priority: optional
Description: {SUMMARY}
{DESCRIPTION}"""
    path = folder / f"{name}_{module.version}_{architecture()}.deb"
    with tempfile.TemporaryDirectory() as scratch:
        root = pathlib.Path(scratch) / name
        for file, content in files.items():
            write(root / file, content)
        write(root / "DEBIAN/control", control.encode())
        write(root / "DEBIAN/postinst", POSTINST.replace("PACKAGE", name).encode())
        sums = "".join(f"{hashlib.md5(content).hexdigest()}  {file}\n" for file, content in sorted(files.items()))
        write(root / "DEBIAN/md5sums", sums.encode())
        for entry in [root, *root.rglob("*")]:
            entry.chmod(0o755 if entry.is_dir() or entry.name == "postinst" else 0o644)
        subprocess.run(
            ["dpkg-deb", "--root-owner-group", "-Zxz", "--build", root, path],
            check=True,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "SOURCE_DATE_EPOCH": str(build_time())},
        )
    return path


def debian_changelog(module, name):
    """Debian's form, which tools read for version and date; what has changed is in CHANGELOG.md beside it."""
    date = email.utils.format_datetime(datetime.datetime.fromtimestamp(build_time(), datetime.UTC))
    entry = f"{name} ({module.version}) unstable; urgency=medium\n\n  * CHANGELOG.md says what has changed.\n\n"
    return f"{entry} -- {MAINTAINER}  {date}\n".encode()


def copyright_file(module):
    """Debian's machine-readable form for what is ours, and the texts of others below."""
    licence = (ROOT / "LICENSE").read_text().strip()
    indented = "\n".join(f" {line}" if line.strip() else " ." for line in licence.splitlines())
    return (
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n"
        "Upstream-Name: validator\n"
        "Comment: The licences of what is linked into the library are in this folder's THIRD-PARTY-LICENSES.gz.\n\n"
        f"Files: *\nCopyright: the validator maintainers\nLicense: PostgreSQL\n{indented}\n"
    ).encode()


def image(module, folder):
    """An OCI image layout (image-spec 1.1) of one layer, as CloudNativePG mounts extensions."""
    remove(folder, "*.oci.tar")
    layer = tar(
        {
            **extension(module, "lib", "share/extension"),
            "licenses/validator/LICENSE": (ROOT / "LICENSE").read_bytes(),
            "licenses/validator/THIRD-PARTY-LICENSES": module.licences().encode(),
        }
    )
    created = subprocess.run(
        ["date", "--utc", f"--date=@{build_time()}", "+%Y-%m-%dT%H:%M:%SZ"], check=True, stdout=subprocess.PIPE, text=True
    ).stdout.strip()
    labels = {
        "org.opencontainers.image.created": created,
        "org.opencontainers.image.title": f"validator for PostgreSQL {module.major}",
        "org.opencontainers.image.description": SUMMARY,
        "org.opencontainers.image.licenses": "PostgreSQL",
        "org.opencontainers.image.version": module.version,
    }
    blobs = {}

    def blob(media_type, content, **more):
        digest = sha256(content)
        blobs[f"blobs/sha256/{digest}"] = content
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content), **more}

    compressed = blob("application/vnd.oci.image.layer.v1.tar+gzip", compress(layer))
    config = blob(
        "application/vnd.oci.image.config.v1+json",
        to_json(
            {
                "created": created,
                "architecture": architecture(),
                "os": "linux",
                "config": {"User": "65532:65532", "Labels": labels},
                "rootfs": {"type": "layers", "diff_ids": [f"sha256:{sha256(layer)}"]},
                "history": [{"created": created, "created_by": "make image"}],
            }
        ),
    )
    media_type = "application/vnd.oci.image.manifest.v1+json"
    manifest = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": config,
        "layers": [compressed],
        "annotations": labels,
    }
    platform = {"architecture": architecture(), "os": "linux"}
    name = {"org.opencontainers.image.ref.name": f"{module.version}-pg{module.major}"}
    listed = blob(media_type, to_json(manifest), platform=platform, annotations=name)
    index_type = "application/vnd.oci.image.index.v1+json"
    files = {
        **blobs,
        "oci-layout": to_json({"imageLayoutVersion": "1.0.0"}),
        "index.json": to_json({"schemaVersion": 2, "mediaType": index_type, "manifests": [listed]}),
    }
    path = folder / f"validator-{module.version}-pg{module.major}-{architecture()}.oci.tar"
    tell([write(path, tar(files))])


def extension(module, library_folder, extension_folder):
    """The files that PostgreSQL needs, in these folders."""
    libraries, scripts = module.files()
    files = {f"{library_folder}/validator.so": library.read_bytes() for library in libraries}
    files.update({f"{extension_folder}/{script.name}": script.read_bytes() for script in scripts})
    return files


def documents():
    pages = [str(page.relative_to(ROOT)) for page in sorted((ROOT / "docs").rglob("*.md"))]
    return [*DOCS, *pages]


def bill(module):
    return sbom(module).encode()


def to_json(content):
    return json.dumps(content).encode()


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def remove(folder, *patterns):
    """What an earlier version left there."""
    for path in [path for pattern in patterns for path in folder.glob(pattern)]:
        path.unlink()


def tell(paths):
    for path in paths:
        print(f"made: {path} ({path.stat().st_size // 1024 + 1} kB)")


main()
