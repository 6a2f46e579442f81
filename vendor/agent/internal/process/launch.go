package process

import (
	"cmp"
	"errors"
	"os"
	"syscall"

	"sbx.dev/agent/internal/session"
)

// launch starts the command as leader of a session of its own, so that its process group can be
// signalled and a terminal can be its controlling one.
func (r *Reaper) launch(spec Spec, around Surroundings, stdio *stdio) (int, <-chan syscall.WaitStatus, error) {
	who := account{name: cmp.Or(around.Name, "root"), home: around.Home}
	if spec.User != "" {
		var err error
		if who, err = resolveUser(spec.User); err != nil {
			return 0, nil, err
		}
		if err := stdio.giveTo(int(who.credential.Uid)); err != nil {
			return 0, nil, err
		}
	}
	env := around.environment(spec, who)
	dir := spec.Dir
	if dir == "" {
		dir = env["HOME"]
		// Many users that are no people have a home that is not there.
		if spec.User != "" && directory(dir) != nil {
			dir = "/"
		}
	}
	if err := directory(dir); err != nil {
		return 0, nil, err
	}
	around.Trust.Apply(env, dir)
	argv := stringsOf(spec.Argv)
	file, err := lookUp(argv[0], env["PATH"], dir)
	if err != nil {
		return 0, nil, err
	}
	attr := &syscall.ProcAttr{
		Dir: dir,
		Env: list(env),
		// Of these, -1 is closed in the child.
		Files: []uintptr{uintptr(stdio.child[0]), uintptr(stdio.child[1]), uintptr(stdio.child[2])},
		Sys:   &syscall.SysProcAttr{Setsid: true, Setctty: spec.TTY != nil, Ctty: 0, Credential: who.credential},
	}
	pid, ended, err := r.start(file, argv, attr)
	switch {
	case errors.Is(err, syscall.ENOEXEC):
		// As execvp(3): a file without a known format is a script for the shell.
		argv := append([]string{"/bin/sh", file}, argv[1:]...)
		pid, ended, err = r.start("/bin/sh", argv, attr)
	case errors.Is(err, syscall.ENOENT):
		// The file is there, so what is missing is what its first line, or its ELF header, names.
		return 0, nil, &session.Failure{
			Code:    notExecutable,
			Message: quote(argv[0]) + ": its interpreter was not found",
		}
	}
	if err != nil {
		return 0, nil, refusal(argv[0], err)
	}
	return pid, ended, nil
}

func directory(dir string) error {
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		err = syscall.ENOTDIR
	}
	if err != nil {
		reason := err
		var errno syscall.Errno
		if errors.As(err, &errno) {
			reason = errno
		}
		return &session.Failure{
			Code:    "no-directory",
			Message: "cannot start in " + quote(dir) + ": " + reason.Error(),
		}
	}
	return nil
}
