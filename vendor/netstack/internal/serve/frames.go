package serve

import (
	"net"
	"os"
	"strings"

	"github.com/containers/gvisor-tap-vsock/pkg/transport"
	"sbx.dev/netstack/internal/link"
	"sbx.dev/netstack/internal/process"
)

// openFrames waits for the guest's end of the cable.
func openFrames(listen, vfkit, descriptor string) (link.Framing, error) {
	switch {
	case descriptor != "":
		conn, err := acceptDescriptor(descriptor)
		if err != nil {
			return nil, err
		}
		return link.NewPair(conn), nil
	case vfkit != "":
		conn, err := transport.ListenUnixgram(vfkit)
		if err != nil {
			return nil, err
		}
		peer, err := transport.AcceptVfkit(conn)
		if err != nil {
			return nil, err
		}
		return link.NewPackets(peer.(link.DatagramConn)), nil
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
		return link.NewStream(enlarge(conn)), nil
	}
	conn, err := process.Inherited(fdFrames)
	if err != nil {
		return nil, err
	}
	return link.NewStream(enlarge(conn)), nil
}

// enlarge asks for socket buffers that hold a few dozen of the largest frames.
func enlarge(conn net.Conn) net.Conn {
	if c, ok := conn.(*net.UnixConn); ok {
		c.SetReadBuffer(4 << 20)
		c.SetWriteBuffer(4 << 20)
	}
	return conn
}
