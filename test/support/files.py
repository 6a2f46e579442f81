"""What programs expect of a directory, tried one by one in the working directory. Prints JSON, from the
name of each expectation to "ok", or to what happened instead."""
import ctypes, errno, fcntl, json, mmap, os, socket, sqlite3, stat, subprocess, sys, time

CHECKS = {}


def check(function):
    CHECKS[function.__name__.replace("_", " ")] = function


def put(path, text="x"):
    with open(path, "w") as file:
        file.write(text)


def get(path):
    with open(path) as file:
        return file.read()


def equal(got, want):
    if got != want:
        raise AssertionError(f"{got!r}, not {want!r}")


def fails(code, function, *args):
    try:
        function(*args)
    except OSError as error:
        return equal(errno.errorcode[error.errno], code)
    raise AssertionError(f"no {code}")


@check
def hard_links():
    put("a", "one")
    os.link("a", "b")
    put("b", "two")
    equal((get("a"), os.stat("a").st_nlink, os.stat("a").st_ino), ("two", 2, os.stat("b").st_ino))
    os.unlink("a")
    equal(os.stat("b").st_nlink, 1)


@check
def symbolic_links():
    os.symlink("nowhere", "dangling")
    os.symlink("../" * 20 + "etc/hostname", "up")
    equal(os.readlink("dangling"), "nowhere")
    equal(get("up"), get("/etc/hostname"))  # the guest's own
    fails("ELOOP", os.open, "up", os.O_RDONLY | os.O_NOFOLLOW)


@check
def locks():
    put("lock")
    one, two = open("lock", "r+"), open("lock", "r+")
    fcntl.flock(one, fcntl.LOCK_EX)
    fails("EAGAIN", fcntl.flock, two, fcntl.LOCK_EX | fcntl.LOCK_NB)
    fcntl.flock(one, fcntl.LOCK_UN)
    fcntl.flock(two, fcntl.LOCK_EX | fcntl.LOCK_NB)
    # Another file, since by 9p, as by NFS, both kinds of locks are one.
    put("record")
    one = open("record", "r+")
    fcntl.lockf(one, fcntl.LOCK_EX | fcntl.LOCK_NB, 1)
    other = "import fcntl; fcntl.lockf(open('record','r+'), fcntl.LOCK_EX|fcntl.LOCK_NB, 1)"
    quiet = {"stderr": subprocess.DEVNULL}
    equal(subprocess.call([sys.executable, "-c", other], **quiet), 1)
    one.close()
    equal(subprocess.call([sys.executable, "-c", other], **quiet), 0)


@check
def shared_mappings():
    put("map", "-" * 8192)
    with open("map", "r+b") as a, open("map", "r+b") as b:
        left, right = mmap.mmap(a.fileno(), 8192), mmap.mmap(b.fileno(), 8192)
        left[4096:4099] = b"new"
        equal(right[4096:4099], b"new")
        left.flush()
    equal(get("map")[4095:4100], "-new-")


def unlinked():
    file = open("gone", "w+b")
    file.write(b"12345678")
    file.flush()
    os.unlink("gone")
    return file


@check
def reads_and_writes_of_an_unlinked_file():
    with unlinked() as file:
        os.pwrite(file.fileno(), b"ab", 2)
        equal(os.pread(file.fileno(), 8, 0), b"12ab5678")
        os.fsync(file.fileno())


@check
def truncating_an_unlinked_file():
    with unlinked() as file:
        os.ftruncate(file.fileno(), 3)
        equal((os.fstat(file.fileno()).st_size, os.pread(file.fileno(), 8, 0)), (3, b"123"))


@check
def mode_and_times_of_an_unlinked_file():
    with unlinked() as file:
        os.fchmod(file.fileno(), 0o640)
        os.utime(file.fileno(), (5, 6))
        found = os.fstat(file.fileno())
        equal((stat.S_IMODE(found.st_mode), found.st_mtime, found.st_nlink), (0o640, 6, 0))


@check
def an_unlinked_file_is_not_the_one_that_took_its_name():
    with unlinked() as file:
        put("gone", "another one")
        os.ftruncate(file.fileno(), 1)
        os.fchmod(file.fileno(), 0o600)
        equal(get("gone"), "another one")


@check
def unnamed_files():
    os.close(os.open(".", os.O_TMPFILE | os.O_RDWR, 0o600))


@check
def inotify():
    libc = ctypes.CDLL(None, use_errno=True)
    watch = libc.inotify_init1(os.O_NONBLOCK)
    libc.inotify_add_watch(watch, b".", 0x100 | 0x200)  # create, delete
    put("seen")
    os.unlink("seen")
    equal(os.read(watch, 4096).count(b"seen"), 2)


@check
def databases_with_a_write_ahead_log():
    one = sqlite3.connect("db", isolation_level=None)
    equal(one.execute("pragma journal_mode=wal").fetchone(), ("wal",))
    one.execute("create table t (n)")
    two = sqlite3.connect("db", isolation_level=None)
    one.execute("begin immediate")
    one.executemany("insert into t values (?)", [(n,) for n in range(500)])
    equal(two.execute("select count(*) from t").fetchone(), (0,))
    one.execute("commit")
    equal(two.execute("select count(*), sum(n) from t").fetchone(), (500, 124750))
    two.execute("pragma wal_checkpoint(truncate)")
    equal(two.execute("pragma integrity_check").fetchone(), ("ok",))


@check
def modes():
    put("mode")
    for mode in (0o600, 0o755, 0o444, 0o1777 & 0o777):
        os.chmod("mode", mode)
        equal(stat.S_IMODE(os.stat("mode").st_mode), mode)
    os.umask(0)
    os.close(os.open("made", os.O_CREAT | os.O_WRONLY, 0o667))
    equal(stat.S_IMODE(os.stat("made").st_mode), 0o667)
    os.umask(0o022)
    os.mkdir("sticky", 0o755)
    os.chmod("sticky", 0o1777)
    equal(stat.S_IMODE(os.stat("sticky").st_mode), 0o1777)


@check
def attributes():
    put("attributes")
    os.setxattr("attributes", "user.color", b"red")
    equal((os.getxattr("attributes", "user.color"), os.listxattr("attributes")), (b"red", ["user.color"]))
    os.removexattr("attributes", "user.color")
    fails("ENODATA", os.getxattr, "attributes", "user.color")


@check
def long_names():
    name = "ü" * 127 + "x"
    put(name)
    equal(get(name), "x")
    fails("ENAMETOOLONG", put, name + "yz")
    os.rename(name, "z" * 255)
    equal("z" * 255 in os.listdir("."), True)


@check
def a_full_disk():
    # What it holds is written through a name that is not cut off, and fails where it is written.
    descriptor = os.open("small/full", os.O_CREAT | os.O_WRONLY)

    def fill():
        while True:
            os.write(descriptor, b"x" * 65536)
    fails("ENOSPC", fill)
    os.close(descriptor)
    os.unlink("small/full")
    # By virtiofs the room is given back when the guest's kernel has told the daemon to forget the file.
    while True:
        try:
            return put("small/again")
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise


@check
def renaming_over_open_files():
    put("old", "old")
    put("new", "new")
    with open("old", "r+") as file:
        os.rename("new", "old")
        equal((file.read(), get("old")), ("old", "new"))
        file.write("er")
        file.flush()
        equal((os.pread(file.fileno(), 9, 0), get("old")), (b"older", "new"))
    os.mkdir("full")
    put("full/file")
    os.mkdir("dir")
    fails("ENOTEMPTY", os.rename, "dir", "full")


@check
def a_crowded_directory():
    names = os.listdir("crowd")  # made before, as making takes long
    equal((len(names), len(set(names))), (10000, 10000))
    equal(get("crowd/9999"), "")
    fails("ENOENT", os.stat, "crowd/10000")


@check
def many_files():
    count = 300
    os.mkdir("many")
    for n in range(count):
        os.close(os.open(f"many/{n}", os.O_CREAT | os.O_WRONLY))
    equal(sorted(os.listdir("many")), sorted(str(n) for n in range(count)))
    equal(sum(entry.is_file() for entry in os.scandir("many")), count)


@check
def sparse_files():
    with open("sparse", "wb") as file:
        file.seek(1 << 30)
        file.write(b"end")
    found = os.stat("sparse")
    equal((found.st_size, found.st_blocks < 4096), ((1 << 30) + 3, True))
    with open("sparse", "rb") as file:
        equal(file.read(4096), bytes(4096))
        file.seek(1 << 30)
        equal(file.read(), b"end")


@check
def syncing():
    with open("synced", "w") as file:
        file.write("x")
        file.flush()
        os.fsync(file.fileno())
        os.fdatasync(file.fileno())
    directory = os.open(".", os.O_RDONLY)
    os.fsync(directory)
    os.close(directory)


@check
def appending_and_exclusive_making():
    files = [os.open("log", os.O_CREAT | os.O_WRONLY | os.O_APPEND) for _ in range(2)]
    for n in range(4):
        os.write(files[n % 2], str(n).encode())
    equal(get("log"), "0123")
    fails("EEXIST", os.open, "log", os.O_CREAT | os.O_EXCL | os.O_WRONLY)


@check
def no_setuid_file_and_no_device():
    put("program")
    fails("EPERM", os.chmod, "program", 0o4755)
    fails("EPERM", os.chmod, "program", 0o2755)
    fails("EPERM", os.mknod, "device", 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    equal(stat.S_IMODE(os.stat("program").st_mode), 0o644)


@check
def pipes_and_sockets():
    os.mkfifo("pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        server.listen()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect("socket")


@check
def owners_can_be_set():
    put("owned")
    os.chown("owned", 7, 8)


answers = {}
start = time.monotonic()
for name, function in CHECKS.items():
    try:
        function()
        answers[name] = "ok"
    except OSError as error:
        answers[name] = errno.errorcode.get(error.errno, str(error))
    except Exception as error:
        answers[name] = f"{type(error).__name__}: {error}"
    print(f"{time.monotonic() - start:.2f}", name, answers[name], file=sys.stderr)
print(json.dumps(answers))
