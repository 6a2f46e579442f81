package guest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// grace is how long sbx may take to end its guest when its input is at an end.
const grace = 2 * time.Second

// Guest is a guest that runs, or is about to. Its sbx ends it when that sbx's input ends: with this
// process too, however it dies.
type Guest struct {
	input   io.WriteCloser
	process *os.Process
	running chan struct{} // closed when it runs
	gone    chan struct{} // closed when nothing is left of it
	err     error         // why it is gone; to be read after that
	ending  sync.Once
}

// Run has sbx start a guest. `lock` is held by it as long as it lives. The directory is the instance's, by
// which others find the process.
func Run(sbx Command, directory string, instance []byte, lock *os.File) (*Guest, error) {
	command := sbx.doing(context.Background(), "run", directory)
	command.Stderr = os.Stderr
	command.ExtraFiles = []*os.File{lock}
	// A Ctrl-C in the terminal of `limactl start --foreground` is Lima's to act on.
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	input, err := command.StdinPipe()
	if err != nil {
		return nil, err
	}
	output, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("cannot start sbx, without which the guest has no network: %w; 'sbx lima driver' puts the driver of an sbx that was moved in place again", err)
	}
	g := &Guest{
		input: input, process: command.Process,
		running: make(chan struct{}), gone: make(chan struct{}),
	}
	go g.follow(command, readEvents(output))
	// A pipe holds less than an instance can be; whoever does not read it is not waited for. The lines that
	// follow wait for this one.
	go input.Write(append(bytes.ReplaceAll(instance, []byte("\n"), nil), '\n'))
	return g, nil
}

// follow reads what sbx says until it is gone.
func (g *Guest) follow(command *exec.Cmd, said events) {
	for {
		event, err := said.next()
		if err != nil {
			if err != io.EOF {
				g.err = errors.Join(g.err, err)
				g.process.Kill()
			}
			break
		}
		switch event.Kind {
		case "running":
			close(g.running)
		case "refused", "ended":
			g.err = event.fault()
		}
	}
	if status := command.Wait(); status != nil && g.err == nil {
		g.err = fmt.Errorf("cannot go on: the guest's sbx ended (%w); driver.stderr.log in the instance's directory may say why", status)
	}
	close(g.gone)
}

// Running waits until the guest runs.
func (g *Guest) Running(ctx context.Context) error {
	select {
	case <-g.running:
		return nil
	case <-g.gone:
		if g.err != nil {
			return g.err
		}
		return errors.New("cannot start: the guest's sbx ended before the guest ran; driver.stderr.log in the instance's directory may say why")
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Gone waits until nothing is left of the guest, and says why when nobody asked for it.
func (g *Guest) Gone(ctx context.Context) error {
	select {
	case <-g.gone:
		return g.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// PowerDown asks the guest to go, as its power button would. sbx ends one that does not.
func (g *Guest) PowerDown() {
	io.WriteString(g.input, "stop\n") // a guest that is gone needs no asking
}

// Kill ends the guest at once, and returns when nothing is left of it.
func (g *Guest) Kill() {
	g.ending.Do(func() { g.input.Close() })
	select {
	case <-g.gone:
	case <-time.After(grace):
		g.process.Kill() // the kernel ends QEMU with it
		<-g.gone
	}
}
