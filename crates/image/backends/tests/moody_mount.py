"""A folder mounted once more, whose server can be made to say nothing, or to have forgotten every file.

moody_mount.py FOLDER POINT STATE: what the file STATE holds decides. `hang`: whoever asks waits until it holds something else.
`stale`: every answer is ESTALE. `broken`: every answer is EIO.
"""
import errno
import os
import sys
import time

import fuse

folder, point, state = sys.argv[1:]
REFUSALS = {"stale": errno.ESTALE, "broken": errno.EIO}


def answer():
    while True:
        with open(state, encoding="utf-8") as file:
            now = file.read()
        if now in REFUSALS:
            raise fuse.FuseOSError(REFUSALS[now])
        if now != "hang":
            return
        time.sleep(0.01)


class Folder(fuse.Operations):
    def __call__(self, operation, path, *arguments):
        if operation not in ("init", "destroy"):
            answer()
        return super().__call__(operation, folder + path, *arguments)

    def getattr(self, path, fh=None):
        found = os.lstat(path)
        return {name: getattr(found, name) for name in (
            "st_atime", "st_ctime", "st_gid", "st_mode", "st_mtime", "st_nlink", "st_size", "st_uid")}

    def statfs(self, path):
        found = os.statvfs(path)
        return {name: getattr(found, name) for name in (
            "f_bavail", "f_bfree", "f_blocks", "f_bsize", "f_favail", "f_ffree", "f_files", "f_flag", "f_frsize", "f_namemax")}

    def readdir(self, path, fh):
        return [".", "..", *os.listdir(path)]

    def rename(self, path, new):
        os.rename(path, folder + new)

    def create(self, path, mode, fi=None):
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, mode)

    def read(self, path, size, offset, fh):
        return os.pread(fh, size, offset)

    def write(self, path, data, offset, fh):
        return os.pwrite(fh, data, offset)

    def truncate(self, path, length, fh=None):
        os.truncate(path, length)

    def fsync(self, path, datasync, fh):
        os.fsync(fh)

    def release(self, path, fh):
        os.close(fh)

    def chmod(self, path, mode):
        os.chmod(path, mode)

    def unlink(self, path):
        os.unlink(path)

    def open(self, path, flags):
        return os.open(path, flags)


# nothing is remembered: every question comes here
fuse.FUSE(Folder(), point, foreground=True, direct_io=True, big_writes=True, attr_timeout=0, entry_timeout=0, negative_timeout=0, fsname="folder")
