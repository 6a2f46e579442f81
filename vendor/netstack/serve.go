package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/containers/gvisor-tap-vsock/pkg/transport"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
)

// Inherited descriptors.
const (
	fdControl = 3
	fdFlows   = 4
	fdFrames  = 5
)

// protocolVersion of the control channel; sbx and netstack come from one build and must agree.
const protocolVersion = 1

// memoryLimit makes the collector work harder long before a flood could hurt the host.
const memoryLimit = 200 << 20

func serve(args []string) error {
	flags := flag.NewFlagSet("serve", flag.ContinueOnError)
	listen := flags.String("listen", "", "unix:///PATH on which QEMU connects, instead of descriptor 5")
	vfkit := flags.String("listen-vfkit", "", "unixgram:///PATH on which vfkit connects")
	if err := flags.Parse(args); err != nil {
		return err
	}
	debug.SetMemoryLimit(memoryLimit)
	debug.SetGCPercent(200)
	closeSockets(fdFrames + 1)
	conn, err := inherited(fdControl)
	if err != nil {
		return err
	}
	flowsConn, err := inherited(fdFlows)
	if err != nil {
		return err
	}
	c := newControl(conn)
	active = c
	c.send(helloMessage{T: "hello", V: protocolVersion, Pid: os.Getpid()})
	in := bufio.NewReaderSize(conn, 64<<10)
	config, err := c.next(in)
	if isEnd(err) {
		return nil
	}
	if err != nil {
		die("control channel: " + err.Error())
	}
	g, l, err := configure(c, config)
	if err != nil {
		die(err.Error())
	}
	g.mux = newMux(flowsConn)
	go guarded(func() { die(fmt.Sprint("flows channel: ", g.mux.run())) })
	go func() {
		frames, err := openFrames(*listen, *vfkit)
		if err != nil {
			die(err.Error())
		}
		l.frames = frames
		attach(g)
		c.send(plainMessage{T: "ready"})
		guarded(func() { err = l.receive() })
		if isEnd(err) || errors.Is(err, io.ErrUnexpectedEOF) {
			c.send(plainMessage{T: "link-down"})
			return
		}
		die("link: " + err.Error())
	}()
	go g.reportLimits()
	return g.obey(in)
}

func inherited(fd uintptr) (net.Conn, error) {
	file := os.NewFile(fd, "")
	conn, err := net.FileConn(file)
	if err != nil {
		return nil, fmt.Errorf("descriptor %d is not an inherited socket: %w", fd, err)
	}
	file.Close()
	return conn, nil
}

// openFrames waits for the guest's end of the cable.
func openFrames(listen, vfkit string) (framing, error) {
	switch {
	case vfkit != "":
		conn, err := transport.ListenUnixgram(vfkit)
		if err != nil {
			return nil, err
		}
		peer, err := transport.AcceptVfkit(conn)
		if err != nil {
			return nil, err
		}
		return newPacketFraming(peer.(datagramConn)), nil
	case listen != "":
		listener, err := transport.Listen(listen)
		if err != nil {
			return nil, err
		}
		defer listener.Close() // one guest, and the path is gone once it is here
		conn, err := listener.Accept()
		if err != nil {
			return nil, err
		}
		os.Remove(strings.TrimPrefix(listen, "unix://"))
		return newStreamFraming(enlarge(conn)), nil
	}
	conn, err := inherited(fdFrames)
	if err != nil {
		return nil, err
	}
	return newStreamFraming(enlarge(conn)), nil
}

// enlarge asks for socket buffers that hold a few dozen of the largest frames.
func enlarge(conn net.Conn) net.Conn {
	if c, ok := conn.(*net.UnixConn); ok {
		c.SetReadBuffer(4 << 20)
		c.SetWriteBuffer(4 << 20)
	}
	return conn
}

func configure(c *control, config fromSbx) (*gateway, *link, error) {
	if config.T != "config" || config.V != protocolVersion {
		return nil, nil, fmt.Errorf("first message is %q version %d, not config version %d", config.T, config.V, protocolVersion)
	}
	if config.MTU < 1280 || config.MTU > 65520 {
		return nil, nil, fmt.Errorf("config: MTU %d is not between 1280 and 65520", config.MTU)
	}
	addrs, err := parseLinkAddresses(config.Guest, config.Gateway)
	if err != nil {
		return nil, nil, err
	}
	l := &link{addrs: addrs, mtu: config.MTU}
	s, err := newStack(l)
	if err != nil {
		return nil, nil, err
	}
	g := &gateway{
		workers: newWorkers(),
		control: c, stack: s, addrs: addrs, flows: newFlows(),
		cache: verdictCache{entries: map[target]cachedVerdict{}},
		quiet: quietList{entries: map[stack.TransportEndpointID]time.Time{}},
		held:  newHeldSYNs(maxHeld),
	}
	g.udp, g.pings, g.inbound = newUDPTable(g), newPingTable(g), newPublisher(g)
	l.undelivered = g.udp.undelivered
	g.flows.configure(config.Limits)
	if config.Limits.Pending > 0 {
		c.places = make(chan struct{}, config.Limits.Pending)
	}
	if config.VerdictTimeoutMs > 0 {
		c.timeout = time.Duration(config.VerdictTimeoutMs) * time.Millisecond
	}
	c.epoch.Store(config.Epoch)
	g.guard.setHost(config.HostAddresses)
	return g, l, nil
}

// attach connects the stack's transport layer to the gateway. Before it, nothing answers.
func attach(g *gateway) {
	g.stack.SetTransportProtocolHandler(tcp.ProtocolNumber, g.tcpHandler())
	g.stack.SetTransportProtocolHandler(udp.ProtocolNumber, g.udp.handle)
	g.stack.SetTransportProtocolHandler(icmp.ProtocolNumber4, g.pings.handle4)
	g.stack.SetTransportProtocolHandler(icmp.ProtocolNumber6, g.pings.handle6)
}

// obey carries out what sbx says until it goes away or falls silent, which ends everything.
func (g *gateway) obey(in *bufio.Reader) error {
	for {
		message, err := g.control.next(in)
		if isEnd(err) {
			return nil
		}
		if err != nil {
			die("control channel: " + err.Error())
		}
		if err := g.carryOut(message); err != nil {
			die(err.Error())
		}
	}
}

// isEnd tells whether the other side has gone; one that had not read everything leaves a reset.
func isEnd(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)
}

// carryOut does what one message says.
func (g *gateway) carryOut(message fromSbx) error {
	switch message.T {
	case "verdict":
		g.control.answer(message)
	case "ping":
		g.control.tell(plainMessage{T: "pong", N: message.N})
	case "policy":
		g.control.epoch.Store(message.Epoch)
		g.cache.flush()
		g.quiet.flush()
		g.udp.flushDenied()
		g.pings.flushDenied()
	case "host":
		g.guard.setHost(message.Addresses)
	case "kill":
		if f := g.flows.find(message.ID); f != nil {
			f.abort(endKilled)
		}
	case "publish":
		g.inbound.publish(message)
	case "unpublish":
		g.inbound.unpublish(message.Ref)
	default:
		return fmt.Errorf("unknown control message %q", message.T)
	}
	return nil
}

// reportLimits tells sbx, at most once a second, what the limits refused.
func (g *gateway) reportLimits() {
	for range time.Tick(time.Second) {
		for what, count := range g.flows.takeLimited() {
			g.control.tell(limitMessage{T: "limit", What: what, Count: count})
		}
	}
}
