package gateway

import (
	"cmp"
	"errors"
	"net"
	"sync"
	"syscall"
	"time"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"sbx.dev/netstack/internal/control"
	"sbx.dev/netstack/internal/dial"
	"sbx.dev/netstack/internal/flow"
)

func (g *Gateway) dialUDP(f *flow.Flow, verdict control.Message) (*net.UDPConn, string) {
	f.Implicit.Store(verdict.Dial == "")
	to, err := g.guard.DialTarget(verdict, f.Info)
	if err != nil {
		return nil, guardEnd(err)
	}
	dialer := net.Dialer{}
	if f.Implicit.Load() {
		dialer.Control = dial.NoBroadcast
	}
	// Connected, so that the kernel keeps strangers' datagrams away and reports errors.
	conn, err := dialer.Dial("udp", to.String())
	if err != nil {
		return nil, dial.End(err)
	}
	g.opened(f, to.String())
	return conn.(*net.UDPConn), ""
}

// send passes one datagram of the guest on. A full socket drops it, as a full network would.
func (u *udpFlow) send(g *Gateway, payload []byte) {
	switch {
	case u.peer != nil:
		u.flow.Up.Add(int64(len(payload)))
		u.peer(payload)
	case u.stream != nil:
		u.flow.Up.Add(int64(len(payload)))
		u.stream.Send(payload)
	case u.conn != nil:
		n, err := u.conn.Write(payload)
		u.flow.Up.Add(int64(n))
		if errors.Is(err, syscall.ECONNREFUSED) {
			g.refused(u)
		}
	}
}

// refused passes a port unreachable on to the guest.
func (g *Gateway) refused(u *udpFlow) {
	g.udp.mu.Lock()
	quote := u.quote
	g.udp.mu.Unlock()
	if quote != nil {
		g.sendUnreachable(quote, u.id, unreachablePort)
	}
}

// receive copies the destination's datagrams to the guest until the flow ends.
func (t *udpTable) receive(u *udpFlow) {
	socket, err := u.conn.SyscallConn()
	if err != nil {
		return
	}
	for failures := 0; failures < 4; {
		err := readDatagram(socket, &t.buffers, func(payload []byte) {
			failures = 0
			t.reply(u, payload)
		})
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case errors.Is(err, syscall.ECONNREFUSED):
			failures++
			t.g.refused(u)
		case err != nil:
			failures++
		}
	}
	u.flow.Abort(control.EndRefused)
}

// readDatagram waits for one datagram and hands it over. A thousand flows that wait have no buffer each:
// they borrow one when there is something to read.
func readDatagram(socket syscall.RawConn, buffers *sync.Pool, take func([]byte)) error {
	var failed error
	err := socket.Read(func(fd uintptr) bool {
		buf := buffers.Get().(*[]byte)
		defer buffers.Put(buf)
		n, err := syscall.Read(int(fd), *buf)
		if err == syscall.EAGAIN || err == syscall.EINTR {
			return false
		}
		if failed = err; err == nil {
			take((*buf)[:n])
		}
		return true
	})
	return cmp.Or(err, failed)
}

// reply sends a datagram to the guest as if it came from the flow's destination.
func (t *udpTable) reply(u *udpFlow, payload []byte) {
	t.mu.Lock()
	u.seen, u.answered = time.Now(), true
	t.mu.Unlock()
	u.flow.Down.Add(int64(len(payload)))
	t.g.writeUDP(u.id, payload)
}

// writeUDP builds a datagram from id's local end to the guest; the stack fragments it if need be.
func (g *Gateway) writeUDP(id stack.TransportEndpointID, payload []byte) {
	source, guest := id.LocalAddress, id.RemoteAddress
	route, err := g.stack.FindRoute(nicID, source, guest, protocolOf(addrOf(guest)), false)
	if err != nil {
		return
	}
	defer route.Release()
	size := header.UDPMinimumSize + len(payload)
	if size > maxDatagram {
		return
	}
	packet := stack.NewPacketBuffer(stack.PacketBufferOptions{
		ReserveHeaderBytes: header.UDPMinimumSize + int(route.MaxHeaderLength()),
		Payload:            buffer.MakeWithData(payload),
	})
	defer packet.DecRef()
	datagram := header.UDP(packet.TransportHeader().Push(header.UDPMinimumSize))
	packet.TransportProtocolNumber = header.UDPProtocolNumber
	datagram.Encode(&header.UDPFields{SrcPort: id.LocalPort, DstPort: id.RemotePort, Length: uint16(size)})
	sum := route.PseudoHeaderChecksum(header.UDPProtocolNumber, uint16(size))
	sum = checksum.Combine(sum, packet.Data().Checksum())
	datagram.SetChecksum(^datagram.CalculateChecksum(sum))
	route.WritePacket(stack.NetworkHeaderParams{Protocol: header.UDPProtocolNumber, TTL: 64}, packet)
}
