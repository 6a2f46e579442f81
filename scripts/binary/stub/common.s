/*
 * What both machines' stubs share: the numbers of Linux that are the same for all, what is checked, and
 * what is said, which has the form of sbx's own errors.
 */

        .set AT_FDCWD, -100
        .set BUFFER, 4096               /* PATH_MAX, and room for what the other calls tell */
        .set PROC_SUPER_MAGIC, 0x9fa0
        .set ENOENT, 2
        .set EAGAIN, 11
        .set STDERR, 2
        .set FAILED, 125                /* lib/cli/exit.ts */

        /* CLONE_VM, FS, FILES, SIGHAND, THREAD and SYSVSEM make a thread; VFORK lets its maker wait for it. */
        .set WAITED_THREAD, 0x100 | 0x200 | 0x400 | 0x800 | 0x10000 | 0x40000 | 0x4000
        .set THREADS, 16

        /* A message is its length and its text. */
        .macro message name, text
\name:  .short  .Lend_\name - .Ltext_\name
.Ltext_\name:
        .ascii  "sbx: cannot start: \text\n"
.Lend_\name:
        .endm

        /* A row says of a limit (setrlimit(2)) which it is, what it must allow, and what is said otherwise. */
        .macro least resource, minimum, message
        .long   \resource, \message - limits
        .quad   \minimum
        .endm

        .macro data
proc:   .asciz  "/proc"
self:   .asciz  "/proc/self/exe"

        message no_proc, "/proc is not mounted\nhint: mount it: 'mount -t proc proc /proc'"
        message other_proc, "/proc is of another PID namespace\nhint: mount this one's: 'mount -t proc proc /proc'"
        message removed, "the working directory was removed\nhint: change to one that exists: 'cd /'"
        message outside, "the working directory is outside of the root directory\nhint: change to one inside: 'cd /'"
        message too_deep, "the path of the working directory is too long\nhint: change to one further up: 'cd /'"
        message no_threads, "it takes 16 threads, and fewer may be started\nhint: raise the limit: 'ulimit -u', or pids.max of the cgroup"
        message no_stack, "it takes 256 KiB of stack, and the limit is lower\nhint: raise the limit: 'ulimit -s 8192'"
        message no_data, "it takes 384 MiB for data, and the limit is lower\nhint: raise the limit: 'ulimit -d unlimited'"
        message no_space, "it takes 512 MiB of address space, and the limit is lower\nhint: raise the limit: 'ulimit -v unlimited'"

        .balign 8
limits: least   3, 0x40000, no_stack
        least   2, 0x18000000, no_data
        least   9, 0x20000000, no_space
limits_end:

        /* How far it is from here to where the program began: add_stub.ts writes it. */
origin: .quad   0
        .endm
