// Command agent is PID 1 of the guest: it brings the machine up, then runs commands for the host over
// a virtio-serial port. docs/agent-protocol.md specifies what travels there.
//
// It has no way to be restarted on purpose. When it ends, for whatever reason, the kernel panics and
// QEMU leaves: a guest without its agent is no guest.
//
//	agent                  boot, and serve the port named sbx
//	agent --serve-fd N     serve descriptor N on a machine that is up; the tests' way in
//	agent --serve-stdio W  say W, and serve the standard streams of a machine that is up, as whoever runs it:
//	                       how a guest is served that others have booted, over SSH
package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"os/user"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
	"sbx.dev/agent/internal/boot"
	"sbx.dev/agent/internal/changes"
	"sbx.dev/agent/internal/files"
	"sbx.dev/agent/internal/loopback"
	"sbx.dev/agent/internal/machine"
	"sbx.dev/agent/internal/process"
	"sbx.dev/agent/internal/session"
)

func main() {
	err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "agent:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 2 && args[0] == "--serve-fd" {
		fd, err := strconv.Atoi(args[1])
		if err != nil {
			return err
		}
		return serveDescriptor(fd)
	}
	if len(args) == 2 && args[0] == "--serve-stdio" {
		return serveStandardStreams(args[1])
	}
	if os.Getpid() != 1 {
		return fmt.Errorf("not the first process of a machine")
	}
	return serveMachine()
}

func serveMachine() error {
	ignoreKills()
	if err := boot.Mount(); err != nil {
		return err
	}
	if err := boot.LoadModules(boot.Modules, boot.AtBoot); err != nil {
		return err
	}
	if err := boot.RaiseLimits(); err != nil {
		return err
	}
	port, err := boot.OpenPort("sbx")
	if err != nil {
		return err
	}
	m := machine.New()
	methods := commands(process.NewReaper(), m.Surroundings, m.Cable)
	maps.Copy(methods, changes.Methods(m.Copy))
	for name, method := range methods {
		methods[name] = m.WhenReady(method)
	}
	methods["clock"] = machine.Clock
	methods["load"] = m.Load
	methods["prepare"] = m.Prepare
	methods["configure"] = m.Configure
	methods["freeze"] = m.WhenReady(m.Freeze)
	methods["still"] = m.WhenReady(m.Still)
	methods["go-on"] = m.WhenReady(m.GoOn)
	methods["renew"] = m.WhenReady(m.Renew)
	methods["shutdown"] = boot.Shutdown
	if err := serve(port, methods); err != nil {
		return err
	}
	return boot.PowerOff() // the host hung up
}

func serveDescriptor(fd int) error {
	if err := unix.SetNonblock(fd, true); err != nil {
		return err
	}
	unix.CloseOnExec(fd)
	own := process.Surroundings{Home: os.Getenv("HOME"), Env: environment()}
	methods := commands(process.NewReaper(), func() process.Surroundings { return own }, loopback.NoCable)
	return serve(os.NewFile(uintptr(fd), "port"), methods)
}

// serveStandardStreams says a word first, by which the host knows where the frames begin: a login shell may
// have said something before. What runs at the end of the input is hung up on.
func serveStandardStreams(word string) error {
	own := process.Surroundings{Home: os.Getenv("HOME"), Env: environment()}
	if known, err := user.Current(); err == nil {
		own.Name, own.Home = known.Username, known.HomeDir
	}
	reaper := process.NewReaper()
	defer reaper.HangUp()
	if _, err := fmt.Println(word); err != nil {
		return err
	}
	port := struct {
		io.Reader
		io.Writer
	}{os.Stdin, os.Stdout}
	return serve(port, commands(reaper, func() process.Surroundings { return own }, loopback.NoCable))
}

func environment() map[string]string {
	env := map[string]string{}
	for _, entry := range os.Environ() {
		name, value, _ := strings.Cut(entry, "=")
		env[name] = value
	}
	return env
}

func serve(port io.ReadWriter, methods map[string]session.Method) error {
	s := session.Session{Methods: methods}
	return s.Serve(port)
}

func commands(reaper *process.Reaper, surroundings func() process.Surroundings, cable loopback.Cable) map[string]session.Method {
	methods := files.Methods()
	methods["exec"] = reaper.Exec(surroundings)
	methods["reach"] = loopback.New(cable).Reach
	methods["listening"] = loopback.Listening
	methods["connect"] = loopback.Connect
	methods["usage"] = machine.Usage
	return methods
}

// ignoreKills keeps a stray "kill 1" in the guest from ending it: without a handler the Go runtime
// would exit. A handler, unlike an ignored signal, is not inherited by commands.
func ignoreKills() {
	signal.Notify(make(chan os.Signal), unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGUSR1, unix.SIGUSR2)
}
