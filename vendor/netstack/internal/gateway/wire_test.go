package gateway

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/header"
	"sbx.dev/netstack/internal/control"
	"sbx.dev/netstack/internal/nettest"
)

// What a guest with raw sockets can put on its wire: fragments, flags, options, forged sources, broken
// frames. The rig's policy lets UDP to port 7000 and TCP to port 443 of one address pass, and nothing else.

const allowedUDP, allowedTCP = 7000, 443

// outside records what reached the two servers of the test.
type outside struct {
	mu        sync.Mutex
	datagrams [][]byte
	streams   map[net.Conn][]byte
}

func (o *outside) got() (datagrams [][]byte, streams []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, data := range o.streams {
		streams = append(streams, string(data))
	}
	return append([][]byte(nil), o.datagrams...), streams
}

func wireRig(t *testing.T) (*rig, *outside) {
	o := &outside{streams: map[net.Conn][]byte{}}
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { udp.Close(); tcp.Close() })
	go func() {
		for buf := make([]byte, maxDatagram); ; {
			n, _, err := udp.ReadFrom(buf)
			if err != nil {
				return
			}
			o.mu.Lock()
			o.datagrams = append(o.datagrams, bytes.Clone(buf[:n]))
			o.mu.Unlock()
		}
	}()
	go func() {
		for {
			conn, err := tcp.Accept()
			if err != nil {
				return
			}
			go o.stream(conn)
		}
	}()
	return newRig(t, 1500, func(info control.FlowInfo) control.Message {
		switch {
		case info.Dst == nettest.OpenHost && info.Proto == "udp" && info.Dport == allowedUDP:
			return control.Message{Action: control.Allow, Dial: udp.LocalAddr().String()}
		case info.Dst == nettest.OpenHost && info.Proto == "tcp" && info.Dport == allowedTCP:
			return control.Message{Action: control.Allow, Dial: tcp.Addr().String()}
		}
		return control.Message{Action: control.Deny}
	}), o
}

// stream echoes, and notes what came.
func (o *outside) stream(conn net.Conn) {
	o.mu.Lock()
	o.streams[conn] = nil
	o.mu.Unlock()
	for buf := make([]byte, 4096); ; {
		n, err := conn.Read(buf)
		if err != nil {
			conn.Close()
			return
		}
		o.mu.Lock()
		o.streams[conn] = append(o.streams[conn], buf[:n]...)
		o.mu.Unlock()
		conn.Write(buf[:n])
	}
}

// fence sends a clean datagram and waits for it outside: all that was sent before it has been dealt with.
func (r *rig) fence(o *outside) {
	r.t.Helper()
	mark := fmt.Appendf(nil, "fence %d", rand.Uint64())
	nettest.Settle(r.t, "the fence", func() bool {
		r.send4(nettest.Ipv4Packet(nettest.Guest.IP4, nettest.OpenHost, 17, nettest.UdpDatagram(7, allowedUDP, mark)))
		time.Sleep(5 * time.Millisecond)
		datagrams, _ := o.got()
		return len(datagrams) > 0 && bytes.Equal(datagrams[len(datagrams)-1], mark)
	})
	o.mu.Lock()
	defer o.mu.Unlock()
	kept := o.datagrams[:0]
	for _, datagram := range o.datagrams {
		if !bytes.HasPrefix(datagram, []byte("fence")) {
			kept = append(kept, datagram)
		}
	}
	o.datagrams = kept
}

// asked are the flows that sbx was asked about since the last call, but for the fence's.
func (r *rig) asked() (flows []string) {
	for {
		select {
		case m := <-r.told:
			if m.T == "flow" && m.Sport != 7 {
				flows = append(flows, fmt.Sprintf("%s %s:%d", m.Proto, m.Dst, m.Dport))
			}
		default:
			return flows
		}
	}
}

func TestFragmentedDatagramsAreJudgedWhole(t *testing.T) {
	r, o := wireRig(t)
	body := bytes.Repeat([]byte("0123456789abcdef"), 100)
	overlap := func(port uint16, id uint16) [][]byte {
		good := nettest.UdpDatagram(1000, allowedUDP, body[:24])
		evil := nettest.UdpDatagram(1000, port, body[:24])
		return [][]byte{
			nettest.Fragment(nettest.OpenHost, 17, id, 0, true, good[:16]),
			nettest.Fragment(nettest.OpenHost, 17, id, 0, true, evil[:8]), // another port for what is judged already
			nettest.Fragment(nettest.OpenHost, 17, id, 16, false, good[16:]),
		}
	}
	for _, row := range []struct {
		name    string
		packets [][]byte
		arrives []byte
		asked   []string
	}{
		{"whole halves", nettest.Fragments(nettest.OpenHost, 17, 1, nettest.UdpDatagram(1000, allowedUDP, body), 800), body, []string{"udp 93.184.216.34:7000"}},
		{"a first fragment of the header alone", nettest.Fragments(nettest.OpenHost, 17, 2, nettest.UdpDatagram(1001, allowedUDP, body), 8), body, []string{"udp 93.184.216.34:7000"}},
		{"to another port", nettest.Fragments(nettest.OpenHost, 17, 3, nettest.UdpDatagram(1002, allowedUDP+1, body), 800), nil, []string{"udp 93.184.216.34:7001"}},
		{"to a neighbour", nettest.Fragments("10.9.9.9", 17, 4, nettest.UdpDatagram(1003, allowedUDP, body), 800), nil, []string{"udp 10.9.9.9:7000"}},
		{"an overlap that rewrites the port", overlap(53, 5), nil, nil},
		{"a last fragment alone", nettest.Fragments(nettest.OpenHost, 17, 6, nettest.UdpDatagram(1004, allowedUDP, body), 800)[1:], nil, nil},
	} {
		r.asked()
		for _, packet := range row.packets {
			r.send4(packet)
		}
		r.fence(o)
		datagrams, _ := o.got()
		switch {
		case row.arrives == nil && len(datagrams) > 0:
			t.Errorf("%s: %d datagrams of %d bytes arrived", row.name, len(datagrams), len(datagrams[0]))
		case row.arrives != nil && (len(datagrams) != 1 || !bytes.Equal(datagrams[0], row.arrives)):
			t.Errorf("%s: %d datagrams arrived", row.name, len(datagrams))
		}
		if asked := r.asked(); fmt.Sprint(asked) != fmt.Sprint(row.asked) {
			t.Errorf("%s: asked about %v", row.name, asked)
		}
		o.mu.Lock()
		o.datagrams = nil
		o.mu.Unlock()
	}
}

func TestFragmentsThatAreNeverCompletedCostBoundedMemory(t *testing.T) {
	r, o := wireRig(t)
	before := heap()
	payload := nettest.UdpDatagram(1, allowedUDP, make([]byte, 1400))
	for id := range 10_000 {
		r.send4(nettest.Fragments(nettest.OpenHost, 17, uint16(id), payload, 1392)[0])
	}
	r.fence(o)
	if grown := heap() - before; grown > 10<<20 { // gVisor keeps 4 MiB of them, and there is garbage
		t.Errorf("%d bytes for fragments", grown)
	}
	if asked := r.asked(); asked != nil {
		t.Errorf("asked about %v", asked)
	}
}

// tcpSegment has a checksum only where the stack looks: it takes the guest's link for one that checks.
func tcpSegment(to string, port uint16, flags header.TCPFlags, payload []byte) []byte {
	segment := nettest.TcpSYN(nettest.Guest.IP4, to, 2000, port)
	segment[13] = byte(flags)
	return append(segment, payload...)
}

func TestOddSegmentsOpenNothing(t *testing.T) {
	const syn, ack, fin, rst, psh = header.TCPFlagSyn, header.TCPFlagAck, header.TCPFlagFin, header.TCPFlagRst, header.TCPFlagPsh
	r, o := wireRig(t)
	r.mute.Store(true)
	denied := tcpSegment(nettest.OpenHost, 444, syn, nil)
	for _, row := range []struct {
		name    string
		packets [][]byte
		asked   []string
	}{
		{"SYN+FIN", [][]byte{nettest.Ipv4Packet(nettest.Guest.IP4, nettest.OpenHost, 6, tcpSegment(nettest.OpenHost, allowedTCP, syn|fin, nil))}, nil},
		{"SYN+RST", [][]byte{nettest.Ipv4Packet(nettest.Guest.IP4, nettest.OpenHost, 6, tcpSegment(nettest.OpenHost, allowedTCP, syn|rst, nil))}, nil},
		{"SYN+ACK", [][]byte{nettest.Ipv4Packet(nettest.Guest.IP4, nettest.OpenHost, 6, tcpSegment(nettest.OpenHost, allowedTCP, syn|ack, nil))}, nil},
		{"an ACK with data", [][]byte{nettest.Ipv4Packet(nettest.Guest.IP4, nettest.OpenHost, 6, tcpSegment(nettest.OpenHost, allowedTCP, ack|psh, []byte("GET /")))}, nil},
		{"no flags", [][]byte{nettest.Ipv4Packet(nettest.Guest.IP4, nettest.OpenHost, 6, tcpSegment(nettest.OpenHost, allowedTCP, 0, nil))}, nil},
		{"all flags", [][]byte{nettest.Ipv4Packet(nettest.Guest.IP4, nettest.OpenHost, 6, tcpSegment(nettest.OpenHost, allowedTCP, 0x3f, nil))}, nil},
		{"a data offset beyond the end", [][]byte{nettest.Ipv4Packet(nettest.Guest.IP4, nettest.OpenHost, 6, func() []byte {
			s := tcpSegment(nettest.OpenHost, allowedTCP, syn, nil)
			s[12] = 0xf0
			return s
		}())}, nil},
		{"a SYN in fragments, to a denied port", nettest.Fragments(nettest.OpenHost, 6, 9, denied, 8, 16), []string{"tcp 93.184.216.34:444"}},
	} {
		r.asked()
		for _, packet := range row.packets {
			r.send4(packet)
		}
		r.fence(o)
		if asked := r.asked(); fmt.Sprint(asked) != fmt.Sprint(row.asked) {
			t.Errorf("%s: asked about %v", row.name, asked)
		}
		if _, streams := o.got(); len(streams) > 0 {
			t.Errorf("%s: %d connections", row.name, len(streams))
		}
	}
}

func TestDataInASYNWaitsForTheVerdictAndArrivesAtMostOnce(t *testing.T) {
	r, o := wireRig(t)
	judged := make(chan struct{})
	allow := r.judge
	r.judge = func(info control.FlowInfo) control.Message {
		if info.Proto == "tcp" {
			<-judged
		}
		return allow(info)
	}
	r.mute.Store(true)
	data := bytes.Repeat([]byte("x"), 1000)
	packet := nettest.Ipv4Packet(nettest.Guest.IP4, nettest.OpenHost, 6, tcpSegment(nettest.OpenHost, allowedTCP, header.TCPFlagSyn, data))
	for range 3 {
		r.send4(packet)
	}
	r.wait("the question", func(m told) bool { return m.T == "flow" && m.Proto == "tcp" })
	if _, streams := o.got(); len(streams) > 0 {
		t.Fatal("connected before the verdict")
	}
	close(judged)
	nettest.Settle(t, "the connection", func() bool { _, streams := o.got(); return len(streams) == 1 })
	if _, streams := o.got(); len(streams[0]) > len(data) {
		t.Errorf("%d bytes of %d", len(streams[0]), len(data))
	}
}

func TestAnEstablishedFlowWithstandsForgedResetsAndPathMTUs(t *testing.T) {
	r, _ := wireRig(t)
	conn, err := r.dial(nettest.OpenHost + ":443")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(nettest.Hang))
	own := conn.LocalAddr().(*net.TCPAddr).Port
	said := bytes.Repeat([]byte("0123456789"), 100_000)
	go func() { conn.Write(said); conn.CloseWrite() }()
	forged := tcpSegment(nettest.OpenHost, allowedTCP, header.TCPFlagRst, nil)
	binary.BigEndian.PutUint16(forged, uint16(own))
	quoted := nettest.Ipv4Packet(nettest.OpenHost, nettest.Guest.IP4, 6, forged[:8])
	tooBig := append([]byte{3, 4, 0, 0, 0, 0, 0, 68}, quoted...) // RFC 1191, and the smallest there is
	header.ICMPv4(tooBig).SetChecksum(header.ICMPv4Checksum(tooBig, 0))
	for range 10 {
		r.send4(nettest.Ipv4Packet(nettest.Guest.IP4, nettest.OpenHost, 6, forged))
		r.send4(nettest.Ipv4Packet(nettest.Guest.IP4, nettest.OpenHost, 1, tooBig))
	}
	heard, err := io.ReadAll(conn)
	if err != nil || !bytes.Equal(heard, said) {
		t.Errorf("heard %d bytes of %d, %v", len(heard), len(said), err)
	}
}

func TestForgedSourcesAreNobody(t *testing.T) {
	r, o := wireRig(t)
	for _, source := range []string{"10.9.9.9", "192.168.77.7", "192.168.127.1", "192.168.127.3", "127.0.0.1", "0.0.0.0", "255.255.255.255", "224.0.0.1"} {
		r.send4(nettest.Ipv4Packet(source, nettest.OpenHost, 17, nettest.UdpDatagram(1, allowedUDP, []byte("forged"))))
		r.send4(nettest.Ipv4Packet(source, nettest.OpenHost, 6, nettest.TcpSYN(source, nettest.OpenHost, 1, allowedTCP)))
		r.send4(nettest.Ipv4Packet(source, nettest.OpenHost, 1, []byte{8, 0, 0xf7, 0xfd, 0, 1, 0, 1}))
	}
	other := nettest.MAC("02:73:62:78:00:03")
	good := nettest.Ipv4Packet(nettest.Guest.IP4, nettest.OpenHost, 17, nettest.UdpDatagram(1, allowedUDP, []byte("forged")))
	r.send(nettest.Ethernet(other, nettest.MAC(nettest.Gateway.MAC), header.IPv4ProtocolNumber, good))
	r.fence(o)
	if asked := r.asked(); asked != nil {
		t.Errorf("asked about %v", asked)
	}
	if datagrams, streams := o.got(); len(datagrams)+len(streams) > 0 {
		t.Error("something arrived")
	}
}
