/*
 * What runs first of sbx on x86-64: it looks whether Bun's runtime can start here, and says so in sbx's
 * words where it cannot; the runtime itself has only a report of its crash. The loader comes here with
 * all libraries in place. It leaves in RDX what _start is to pass on, and all else to chance (System V ABI
 * for AMD64, 3.4.1), so that RDX and the stack are all that is kept.
 */
        .intel_syntax noprefix
        .include "common.s"

        .set SYS_write, 1
        .set SYS_clone, 56
        .set SYS_exit, 60
        .set SYS_getcwd, 79
        .set SYS_statfs, 137
        .set SYS_exit_group, 231
        .set SYS_readlinkat, 267
        .set SYS_prlimit64, 302

        push    rdx
        sub     rsp, BUFFER

/* The runtime looks up its own path. */
        mov     edi, AT_FDCWD
        lea     rsi, [rip + self]
        mov     rdx, rsp
        mov     r10d, BUFFER
        mov     eax, SYS_readlinkat
        syscall
        test    rax, rax
        jns     where
        lea     rdi, [rip + proc]
        mov     rsi, rsp
        mov     eax, SYS_statfs
        syscall
        lea     rsi, [rip + no_proc]
        test    rax, rax
        js      say
        cmp     qword ptr [rsp], PROC_SUPER_MAGIC
        jne     say
        lea     rsi, [rip + other_proc]
        jmp     say

/* It looks up its working directory. */
where:  mov     rdi, rsp
        mov     esi, BUFFER
        mov     eax, SYS_getcwd
        syscall
        lea     rsi, [rip + removed]
        cmp     rax, -ENOENT
        je      say
        lea     rsi, [rip + too_deep]
        test    rax, rax
        js      say
        lea     rsi, [rip + outside]    /* which begins with "(unreachable)" */
        cmp     byte ptr [rsp], '/'
        jne     say

/* It aborts where memory or stack cannot be had. */
        lea     rbx, [rip + limits]
limit:  xor     edi, edi
        mov     esi, [rbx]
        xor     edx, edx
        mov     r10, rsp
        mov     eax, SYS_prlimit64
        syscall
        test    rax, rax
        js      next
        mov     rax, [rbx + 8]
        cmp     [rsp], rax
        jae     next
        movsxd  rsi, dword ptr [rbx + 4]
        lea     rax, [rip + limits]
        add     rsi, rax
        jmp     say
next:   add     rbx, 16
        lea     rax, [rip + limits_end]
        cmp     rbx, rax
        jb      limit

/*
 * It aborts where a thread cannot be had. So each of THREADS starts the next one and waits for its end:
 * the last one runs when all are there. They share the stack, on which none of them moves.
 */
        mov     dword ptr [rsp], 0
        mov     ebx, THREADS
start:  mov     edi, WAITED_THREAD
        xor     esi, esi
        xor     edx, edx
        xor     r10d, r10d
        xor     r8d, r8d
        mov     eax, SYS_clone
        syscall
        test    rax, rax
        jg      started
        js      refused
        dec     ebx
        jnz     start
        jmp     leave
refused:
        cmp     rax, -EAGAIN            /* what refuses it altogether, as an emulator, says nothing of limits */
        jne     started
        mov     dword ptr [rsp], 1
started:
        cmp     ebx, THREADS
        je      counted
leave:  xor     edi, edi
        mov     eax, SYS_exit
        syscall
counted:
        lea     rsi, [rip + no_threads]
        cmp     dword ptr [rsp], 0
        jne     say

        add     rsp, BUFFER
        pop     rdx
        lea     rax, [rip + origin]
        add     rax, [rax]
        jmp     rax

say:    mov     edi, STDERR
        movzx   edx, word ptr [rsi]
        add     rsi, 2
        mov     eax, SYS_write
        syscall
        mov     edi, FAILED
        mov     eax, SYS_exit_group
        syscall

        data
