"""Archives that are the same, byte for byte, whenever and by whomever they are made."""

import gzip
import io
import tarfile

from contents import build_time


def tar(files):
    """A tar archive of the files, given as path and content; an absolute path stands for itself without the slash."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        folders = set()
        for path, content in sorted(files.items()):
            for end in [i for i, letter in enumerate(path) if letter == "/" and i > 0]:
                if path[:end] not in folders:
                    folders.add(path[:end])
                    archive.addfile(member(path[:end], 0o755, tarfile.DIRTYPE))
            mode = 0o755 if path.endswith(".so") else 0o644
            entry = member(path, mode, tarfile.REGTYPE)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def member(path, mode, kind):
    entry = tarfile.TarInfo(path)
    entry.type, entry.mode, entry.mtime = kind, mode, build_time()
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    return entry


def compress(content):
    return gzip.compress(content, mtime=0)
