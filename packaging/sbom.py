"""The bill of materials (CycloneDX 1.6): what is linked into the library."""

import datetime
import hashlib
import json
import uuid

from contents import build_time


def sbom(module):
    checksums = module.checksums()

    def component(id, kind="library"):
        crate = module.crates[id]
        name, version = crate["name"], crate["version"]
        described = {
            "type": kind,
            "bom-ref": reference(crate),
            "name": name,
            "version": version,
            "licenses": [{"expression": crate["license"].replace("/", " OR ")}],
        }
        if crate["source"]:
            described["purl"] = f"pkg:cargo/{name}@{version}"
            described["hashes"] = [{"alg": "SHA-256", "content": checksums[name, version]}]
        return described

    ids = sorted(module.linked, key=lambda id: reference(module.crates[id]))
    main = component(module.root)
    main["hashes"] = [{"alg": "SHA-256", "content": hashlib.sha256(module.library.read_bytes()).hexdigest()}]
    content = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": datetime.datetime.fromtimestamp(build_time(), datetime.UTC).isoformat(),
            "component": main,
        },
        "components": [component(id) for id in ids if id != module.root],
        "dependencies": [
            {
                "ref": reference(module.crates[id]),
                "dependsOn": sorted(reference(module.crates[needed]) for needed in module.linked[id]),
            }
            for id in ids
        ],
    }
    # The same library has the same number.
    content["serialNumber"] = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(content)).urn
    return json.dumps(content, indent=2) + "\n"


def reference(crate):
    return f"{crate['name']}@{crate['version']}"
