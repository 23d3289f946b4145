"""A disk that forgets, the other half: what may be left of a folder after a loss of power.

power_loss.c has written down what a program did. Here a folder is held twice: as the program saw it (live), and as a
disk must hold it at least (durable), with what is between the two. At a crash each piece of that may have reached the
disk or not: of a file's writes any, in pieces of 512 bytes, and of a folder's changes the first ones, as a journal
keeps them. Synced is what fsync or fdatasync was called for; a file's name is its folder's, as POSIX has it.
"""
import os, shutil, struct

HEADER = struct.Struct("<IIQII")
SECTOR = 512
IGNORED = "-shm"  # SQLite's shared memory: mapped, not synced, made anew after a crash


class File:
    def __init__(self, content=b""):
        self.live = bytearray(content)
        self.durable = bytes(content)
        self.pending = []  # (record, offset, bytes), or None instead of the bytes: cut at the offset

    def change(self, record, offset, content):
        self.pending.append((record, offset, content))
        apply(self.live, offset, content)

    def sync(self, until):
        durable = bytearray(self.durable)
        kept = []
        for each in self.pending:
            if each[0] < until:
                apply(durable, each[1], each[2])
            else:
                kept.append(each)
        self.durable, self.pending = bytes(durable), kept

    def after_crash(self, random, chance):
        content = bytearray(self.durable)
        for _, offset, written in self.pending:
            if written is None:
                if random.random() < chance:
                    apply(content, offset, None)
                continue
            begin = 0
            while begin < len(written):
                end = min(len(written), begin + SECTOR - (offset + begin) % SECTOR)
                if random.random() < chance:
                    apply(content, offset + begin, written[begin:end])
                begin = end
        return bytes(content)


def apply(content, offset, written):
    if written is None:
        del content[offset:]
        content.extend(bytes(offset - len(content)))
        return
    content.extend(bytes(max(0, offset - len(content))))
    content[offset:offset + len(written)] = written


class Folder:
    def __init__(self, entries=None):
        self.live = dict(entries or {})
        self.durable = dict(self.live)
        self.pending = []  # (record, {name: node, None where it goes})

    def change(self, record, changes):
        self.pending.append((record, changes))
        alter(self.live, changes)

    def sync(self, until):
        while self.pending and self.pending[0][0] < until:
            alter(self.durable, self.pending.pop(0)[1])

    def after_crash(self, random, chance):
        entries = dict(self.durable)
        for _, changes in self.pending:
            if random.random() >= chance:
                break
            alter(entries, changes)
        return entries


def alter(entries, changes):
    for name, node in changes.items():
        if node is None:
            entries.pop(name, None)
        else:
            entries[name] = node


class Disk:
    """Holds what is below `path` now: all of it synced."""

    def __init__(self, path):
        self.path = path
        self.root = read(path)
        self.handles = {}
        self.records = 0
        self.last = []  # the paths that the last record is about: it may not have come true

    def _parent(self, path):
        parts = os.path.relpath(path, self.path).split("/")
        folder = self.root
        for part in parts[:-1]:
            folder = folder.live[part]
        return folder, parts[-1]

    def _node(self, path):
        if os.path.normpath(path) == os.path.normpath(self.path):
            return self.root
        folder, name = self._parent(path)
        return folder.live.get(name)

    def replay(self, log):
        """Takes over the records of a file that power_loss.c wrote."""
        with open(log, "rb") as file:
            data = file.read()
        records, at = [], 0
        while at + HEADER.size <= len(data):
            what, handle, offset, path_length, count = HEADER.unpack_from(data, at)
            begin = at + HEADER.size
            at = begin + path_length + count
            if at > len(data):
                break  # killed while it was written: it had not been done
            records.append((chr(what), handle, offset, data[begin:begin + path_length].decode(),
                            data[begin + path_length:at]))
        for i, record in enumerate(records):
            failed = i + 1 < len(records) and records[i + 1][0] == "F"
            if not failed and record[0] != "F":
                self._take(i, *record)
        self.records += len(records)

    def _take(self, index, what, handle, offset, path, content):
        self.last = [path]
        if what == "O":
            node = self._node(path)
            if node is None:
                node = File()
                folder, name = self._parent(path)
                folder.change(index, {name: node})
            if offset & 2:
                node.change(index, 0, None)
            self.handles[handle] = node, path
        elif what in "WTS":
            node, path = self.handles[handle]
            self.last = [path]
            if what == "S":
                node.sync(offset)
            else:
                node.change(index, offset, content if what == "W" else None)
        elif what == "R":
            new = content.decode()
            self.last = [path, new]
            node = self._node(path)
            folder, name = self._parent(path)
            target, new_name = self._parent(new)
            if folder is target:
                folder.change(index, {name: None, new_name: node})
            else:
                folder.change(index, {name: None})
                target.change(index, {new_name: node})
        elif what in "UX":
            folder, name = self._parent(path)
            folder.change(index, {name: None})
        elif what == "D":
            folder, name = self._parent(path)
            folder.change(index, {name: Folder()})

    def differences(self):
        """Where the folder is not what the records make of it: writes that were not seen. To be asked before crash."""
        found = []
        compare(self.root, self.path, set(self.last), found)
        return found

    def unsynced(self):
        """The numbers of writes to files and of changes of folders that have not been synced."""
        files, folders = set(), set()

        def visit(node):
            if isinstance(node, File):
                files.add(node)
                return
            folders.add(node)
            for entries in [node.live, node.durable]:
                for each in entries.values():
                    visit(each)
        visit(self.root)
        return sum(len(f.pending) for f in files), sum(len(f.pending) for f in folders)

    def crash(self, random, chance):
        """Makes the folder what a disk may hold that lost its power now. Each piece that was not synced survives with
        `chance`; 0: all of them are lost."""
        for name in os.listdir(self.path):
            whole = os.path.join(self.path, name)
            shutil.rmtree(whole) if os.path.isdir(whole) else os.unlink(whole)
        write(self.root, self.path, random, chance)


def read(path):
    entries = {}
    for entry in os.scandir(path):
        if entry.is_dir(follow_symlinks=False):
            entries[entry.name] = read(entry.path)
        elif not entry.name.endswith(IGNORED):
            with open(entry.path, "rb") as file:
                entries[entry.name] = File(file.read())
    return Folder(entries)


def write(folder, path, random, chance):
    for name, node in sorted(folder.after_crash(random, chance).items()):
        whole = os.path.join(path, name)
        if isinstance(node, Folder):
            os.mkdir(whole, 0o700)
            write(node, whole, random, chance)
        else:
            with open(whole, "wb") as file:
                file.write(node.after_crash(random, chance))


def compare(folder, path, uncertain, found):
    there = {entry.name: entry for entry in os.scandir(path) if not entry.name.endswith(IGNORED)}
    for name in there.keys() | folder.live.keys():
        whole = os.path.join(path, name)
        node = folder.live.get(name)
        if whole in uncertain:
            continue
        if name not in there or node is None:
            found.append(f"{whole}: {'is not there' if name not in there else 'has not been seen'}")
        elif isinstance(node, Folder):
            compare(node, whole, uncertain, found)
        else:
            with open(whole, "rb") as file:
                if file.read() != node.live:
                    found.append(f"{whole}: has other content")
