/*
 * What runs first of sbx on arm64; x64.s says what it is for, and why it looks at what. The loader leaves
 * in X0 what _start is to pass on, which is kept, as the stack is.
 */
        .include "common.s"

        .set SYS_getcwd, 17
        .set SYS_statfs, 43
        .set SYS_write, 64
        .set SYS_readlinkat, 78
        .set SYS_exit, 93
        .set SYS_exit_group, 94
        .set SYS_clone, 220
        .set SYS_prlimit64, 261

        bti     c
        mov     x19, x0
        sub     sp, sp, #BUFFER

/* Its own path. */
        mov     x0, #AT_FDCWD
        adr     x1, self
        mov     x2, sp
        mov     x3, #BUFFER
        mov     x8, #SYS_readlinkat
        svc     #0
        tbz     x0, #63, where
        adr     x0, proc
        mov     x1, sp
        mov     x8, #SYS_statfs
        svc     #0
        adr     x20, no_proc
        tbnz    x0, #63, say
        ldr     x0, [sp]
        mov     x1, #PROC_SUPER_MAGIC
        cmp     x0, x1
        b.ne    say
        adr     x20, other_proc
        b       say

/* The working directory. */
where:  mov     x0, sp
        mov     x1, #BUFFER
        mov     x8, #SYS_getcwd
        svc     #0
        adr     x20, removed
        cmn     x0, #ENOENT
        b.eq    say
        adr     x20, too_deep
        tbnz    x0, #63, say
        adr     x20, outside
        ldrb    w0, [sp]
        cmp     w0, #'/'
        b.ne    say

/* Memory and stack. */
        adr     x21, limits
        adr     x22, limits_end
limit:  mov     x0, #0
        ldr     w1, [x21]
        mov     x2, #0
        mov     x3, sp
        mov     x8, #SYS_prlimit64
        svc     #0
        tbnz    x0, #63, next
        ldr     x0, [sp]
        ldr     x1, [x21, #8]
        cmp     x0, x1
        b.hs    next
        adr     x20, limits
        ldrsw   x1, [x21, #4]
        add     x20, x20, x1
        b       say
next:   add     x21, x21, #16
        cmp     x21, x22
        b.lo    limit

/* Threads. */
        str     wzr, [sp]
        mov     w21, #THREADS
start:  ldr     w0, thread
        mov     x1, #0
        mov     x2, #0
        mov     x3, #0
        mov     x4, #0
        mov     x8, #SYS_clone
        svc     #0
        cmp     x0, #0
        b.gt    started
        b.lt    refused
        subs    w21, w21, #1
        b.ne    start
        b       leave
refused:
        cmn     x0, #EAGAIN
        b.ne    started
        mov     w1, #1
        str     w1, [sp]
started:
        cmp     w21, #THREADS
        b.eq    counted
leave:  mov     x0, #0
        mov     x8, #SYS_exit
        svc     #0
counted:
        adr     x20, no_threads
        ldr     w0, [sp]
        cbnz    w0, say

        add     sp, sp, #BUFFER
        mov     x0, x19
        adr     x16, origin
        ldr     x17, [x16]
        add     x16, x16, x17
        br      x16

say:    mov     x0, #STDERR
        ldrh    w2, [x20]
        add     x1, x20, #2
        mov     x8, #SYS_write
        svc     #0
        mov     x0, #FAILED
        mov     x8, #SYS_exit_group
        svc     #0

thread: .word   WAITED_THREAD
        data
