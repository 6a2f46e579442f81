package gateway

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"io"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/channel"
	linkethernet "gvisor.dev/gvisor/pkg/tcpip/link/ethernet"
	"gvisor.dev/gvisor/pkg/tcpip/network/arp"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
	"sbx.dev/netstack/internal/control"
	"sbx.dev/netstack/internal/link"
	"sbx.dev/netstack/internal/mux"
	"sbx.dev/netstack/internal/nettest"
)

// told is a message of netstack's, whichever it was.
type told struct {
	T  string `json:"t"`
	ID uint64 `json:"id"`
	control.FlowInfo
	Dial    string `json:"dial"`
	End     string `json:"end"`
	Addr    string `json:"addr"`
	Port    uint16 `json:"port"`
	What    string `json:"what"`
	Count   int64  `json:"count"`
	Message string `json:"message"`
	Data    []byte `json:"data"`
}

// rig is a gateway between a guest with a network stack of its own and an sbx that the test plays.
type rig struct {
	t     testing.TB
	g     *Gateway
	l     *link.Cable
	guest *stack.Stack
	nic   *channel.Endpoint
	wire  net.Conn // the guest's end of the cable
	wmu   sync.Mutex
	// mute drops the guest's own resets, as a guest does that floods from raw sockets.
	mute atomic.Bool

	sbx   net.Conn
	smu   sync.Mutex
	judge func(control.FlowInfo) control.Message
	// first judges what inspected flows say first; nil denies.
	first atomic.Pointer[func(told) control.Message]
	told  chan told
	seen  sync.Map // count of messages by type
	// hearing is locked while sbx reads nothing.
	hearing sync.Mutex
}

// newRig judges every flow by `judge`. What the verdict leaves out is filled in.
func newRig(t testing.TB, mtu uint32, judge func(control.FlowInfo) control.Message) *rig {
	t.Helper()
	ours, theirs := net.Pipe()
	flowsHere, flowsThere := net.Pipe()
	cable, wire := nettest.StreamPair(t)
	c := control.New(ours)
	g, l, err := New(c, mux.New(flowsHere), control.Message{T: "config", V: control.Version, MTU: mtu, Guest: control.Endpoint(nettest.Guest), Gateway: control.Endpoint(nettest.Gateway)})
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, g: g, l: l, wire: wire, sbx: theirs, judge: judge, told: make(chan told, 65536)}
	l.Plug(link.NewStream(cable))
	g.Attach()
	r.guest = r.newGuest(mtu)
	ended := make(chan struct{})
	go func() { l.Receive(); close(ended) }()
	go r.listen()
	go g.Obey(bufio.NewReader(ours))
	go r.ping()
	go g.ReportLimits()
	t.Cleanup(func() {
		// The control channel stays: its end is the end of the process.
		wire.Close()
		<-ended
		flowsThere.Close()
		r.guest.Close()
	})
	return r
}

// allowTo dials a server of the test whatever the guest wanted.
func allowTo(addr net.Addr) func(control.FlowInfo) control.Message {
	return func(control.FlowInfo) control.Message {
		return control.Message{Action: control.Allow, Dial: addr.String()}
	}
}

func (r *rig) listen() {
	in := bufio.NewReader(r.sbx)
	for {
		var head [4]byte
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return
		}
		body := make([]byte, binary.BigEndian.Uint32(head[:]))
		if _, err := io.ReadFull(in, body); err != nil {
			return
		}
		var m told
		if json.Unmarshal(body, &m) != nil {
			continue
		}
		r.hearing.Lock()
		r.hearing.Unlock()
		count, _ := r.seen.LoadOrStore(m.T, new(atomic.Int64))
		count.(*atomic.Int64).Add(1)
		select {
		case r.told <- m:
		default:
		}
		if first := r.first.Load(); m.T == "flow" || m.T == "first" && first != nil {
			verdict := r.judge(m.FlowInfo)
			if m.T == "first" {
				verdict = (*first)(m)
			}
			verdict.T, verdict.ID, verdict.Epoch = "verdict", m.ID, r.g.control.Epoch.Load()
			go r.say(verdict) // netstack may be waiting to be read
		}
	}
}

func (r *rig) say(m any) {
	body, _ := json.Marshal(m)
	r.smu.Lock()
	defer r.smu.Unlock()
	r.sbx.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...))
}

func (r *rig) ping() {
	for {
		body := []byte(`{"t":"ping","n":1}`)
		r.smu.Lock()
		_, err := r.sbx.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...))
		r.smu.Unlock()
		if err != nil {
			return
		}
		time.Sleep(time.Second)
	}
}

// pause makes sbx read nothing until the answer is called.
func (r *rig) pause() (hear func()) {
	r.hearing.Lock()
	return r.hearing.Unlock
}

// count is how many messages of a type netstack has sent.
func (r *rig) count(kind string) int64 {
	if count, ok := r.seen.Load(kind); ok {
		return count.(*atomic.Int64).Load()
	}
	return 0
}

// wait takes messages until one satisfies.
func (r *rig) wait(what string, satisfies func(told) bool) told {
	r.t.Helper()
	late := time.After(nettest.Hang)
	for {
		select {
		case m := <-r.told:
			if satisfies(m) {
				return m
			}
		case <-late:
			r.t.Fatalf("waited in vain for %s", what)
		}
	}
}

// newGuest is a stack with the guest's addresses on the other end of the cable.
func (r *rig) newGuest(mtu uint32) *stack.Stack {
	s := stack.New(stack.Options{
		NetworkProtocols: []stack.NetworkProtocolFactory{ipv4.NewProtocol, arp.NewProtocol, ipv6.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{
			tcp.NewProtocol, udp.NewProtocol, icmp.NewProtocol4, icmp.NewProtocol6,
		},
	})
	r.nic = channel.New(4096, mtu+header.EthernetMinimumSize, nettest.MAC(nettest.Guest.MAC))
	if err := s.CreateNIC(1, linkethernet.New(r.nic)); err != nil {
		r.t.Fatal(err)
	}
	for _, text := range []string{nettest.Guest.IP4, nettest.Guest.IP6} {
		addr := netip.MustParseAddr(text)
		s.AddProtocolAddress(1, tcpip.ProtocolAddress{
			Protocol:          protocolOf(addr),
			AddressWithPrefix: tcpip.AddrFromSlice(addr.AsSlice()).WithPrefix(),
		}, stack.AddressProperties{})
	}
	s.SetRouteTable([]tcpip.Route{
		{Destination: header.IPv4EmptySubnet, Gateway: nettest.AddressOf(nettest.Gateway.IP4), NIC: 1},
		{Destination: header.IPv6EmptySubnet, Gateway: nettest.AddressOf(nettest.Gateway.IP6), NIC: 1},
	})
	go func() {
		for {
			packet := r.nic.ReadContext(context.Background())
			if packet == nil {
				return
			}
			frame := packet.ToView().AsSlice()
			if !(r.mute.Load() && isReset(frame)) {
				r.send(frame)
			}
			packet.DecRef()
		}
	}()
	go func() {
		in := link.NewStream(r.wire)
		for {
			frame, err := in.ReadFrame()
			if err != nil {
				return
			}
			packet := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(frame)})
			r.nic.InjectInbound(0, packet)
			packet.DecRef()
		}
	}()
	return s
}

func isReset(frame []byte) bool {
	const tcpAt = header.EthernetMinimumSize + header.IPv4MinimumSize
	return len(frame) >= tcpAt+header.TCPMinimumSize && header.Ethernet(frame).Type() == header.IPv4ProtocolNumber &&
		header.IPv4(frame[header.EthernetMinimumSize:]).Protocol() == uint8(header.TCPProtocolNumber) &&
		header.TCP(frame[tcpAt:]).Flags()&header.TCPFlagRst != 0
}

// send puts a frame of the guest on the cable.
func (r *rig) send(frame []byte) {
	r.wmu.Lock()
	defer r.wmu.Unlock()
	r.wire.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(frame))), frame...))
}

// send4 puts an IPv4 packet of the guest on the cable.
func (r *rig) send4(packet []byte) {
	r.send(nettest.Ethernet(nettest.MAC(nettest.Guest.MAC), nettest.MAC(nettest.Gateway.MAC), header.IPv4ProtocolNumber, packet))
}

func full(text string) tcpip.FullAddress {
	at := netip.MustParseAddrPort(text)
	return tcpip.FullAddress{NIC: 1, Addr: tcpip.AddrFromSlice(at.Addr().AsSlice()), Port: at.Port()}
}

// dial connects from the guest, as a program there would.
func (r *rig) dial(to string) (*gonet.TCPConn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), nettest.Hang)
	defer cancel()
	at := full(to)
	return gonet.DialContextTCP(ctx, r.guest, at, protocolOf(addrOf(at.Addr)))
}

// heap is what is alive after a collection.
func heap() int {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int(stats.HeapAlloc)
}
