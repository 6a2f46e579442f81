// Package serve is `netstack serve`: the whole network of one guest.
package serve

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"sbx.dev/netstack/internal/control"
	"sbx.dev/netstack/internal/flow"
	"sbx.dev/netstack/internal/gateway"
	"sbx.dev/netstack/internal/mux"
	"sbx.dev/netstack/internal/process"
)

// Inherited descriptors.
const (
	fdControl = 3
	fdFlows   = 4
	fdFrames  = 5
)

// memoryLimit makes the collector work harder long before a flood could hurt the host.
const memoryLimit = 200 << 20

// Run serves one guest on inherited descriptors until sbx or the guest is gone.
func Run(args []string) error {
	flags := flag.NewFlagSet("serve", flag.ContinueOnError)
	listen := flags.String("listen", "", "unix:///PATH on which QEMU connects, instead of descriptor 5")
	vfkit := flags.String("listen-vfkit", "", "unixgram:///PATH on which vfkit connects")
	descriptor := flags.String("listen-descriptor", "", "unix:///PATH on which Lima's VZ driver hands over the guest's end")
	if err := flags.Parse(args); err != nil {
		return err
	}
	debug.SetMemoryLimit(memoryLimit)
	debug.SetGCPercent(200)
	process.CloseSockets(fdFrames + 1)
	conn, err := process.Inherited(fdControl)
	if err != nil {
		return err
	}
	flowsConn, err := process.Inherited(fdFlows)
	if err != nil {
		return err
	}
	c := control.New(conn)
	c.Send(control.Hello{T: "hello", V: control.Version, Pid: os.Getpid()})
	in := bufio.NewReaderSize(conn, 64<<10)
	config, err := c.Next(in)
	if control.IsEnd(err) {
		return nil
	}
	if err != nil {
		c.Fail("control channel: " + err.Error())
	}
	m := mux.New(flowsConn)
	g, l, err := gateway.New(c, m, config)
	if err != nil {
		c.Fail(err.Error())
	}
	if flow.Traced(os.Getenv("SBX_TRACE")) {
		g.Trace(flow.TraceTo(os.Stderr))
	}
	go c.Guard(func() { c.Fail(fmt.Sprint("flows channel: ", m.Run())) })
	go func() {
		frames, err := openFrames(*listen, *vfkit, *descriptor)
		if err != nil {
			c.Fail(err.Error())
		}
		l.Plug(frames)
		g.Attach()
		c.Send(control.Plain{T: "ready"})
		c.Guard(func() { err = l.Receive() })
		if control.IsEnd(err) || errors.Is(err, io.ErrUnexpectedEOF) {
			c.Send(control.Plain{T: "link-down"})
			return
		}
		c.Fail("link: " + err.Error())
	}()
	go g.ReportLimits()
	return g.Obey(in)
}
