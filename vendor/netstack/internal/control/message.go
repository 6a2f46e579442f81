package control

import "net/netip"

// The messages of the control channel, one JSON object each. Fields that a message does not use are
// absent; unknown fields are ignored, unknown types are fatal.

// Actions a verdict can take.
const (
	Allow    = "allow"
	Deny     = "deny"
	Inspect  = "inspect"
	Redirect = "redirect"
)

// How a flow ended, in `closed`.
const (
	EndEOF             = "eof"
	EndResetByGuest    = "reset-guest"
	EndResetByUpstream = "reset-upstream"
	EndRefused         = "refused"
	EndUnreachable     = "unreachable"
	EndTimeout         = "timeout"
	EndIdle            = "idle"
	EndKilled          = "killed"
	EndGuard           = "guard"
	EndGone            = "gone"
	EndDenied          = "denied"
	EndLimit           = "limit"
)

var flowEnds = map[string]bool{
	EndEOF: true, EndResetByGuest: true, EndResetByUpstream: true, EndRefused: true, EndUnreachable: true,
	EndTimeout: true, EndIdle: true, EndKilled: true, EndGuard: true, EndGone: true, EndDenied: true, EndLimit: true,
}

// IsFlowEnd tells whether a word is one of the ends.
func IsFlowEnd(word string) bool { return flowEnds[word] }

// FlowInfo says which flow a question is about. Outbound, dst is where the guest wants to go;
// inbound, src is the peer and dst the guest.
type FlowInfo struct {
	Proto string `json:"proto"`
	Dir   string `json:"dir"`
	Src   string `json:"src"`
	Sport uint16 `json:"sport"`
	Dst   string `json:"dst"`
	Dport uint16 `json:"dport"`
	Ref   int    `json:"ref,omitempty"`
	// Own says that the host's kernel takes dst for its own, alone or with others.
	Own bool `json:"own,omitempty"`
}

const dnsPort = 53

// IsQuestion tells whether the flow is for the resolver: sbx serves every one to its port, or denies it.
func (i FlowInfo) IsQuestion() bool {
	return i.Dir == "outbound" && i.Dport == dnsPort && (i.Proto == "udp" || i.Proto == "tcp")
}

// Destination is where the guest wants to go.
func (i FlowInfo) Destination() netip.AddrPort {
	addr, _ := netip.ParseAddr(i.Dst)
	return netip.AddrPortFrom(addr, i.Dport)
}

// Message is any message that sbx sends.
type Message struct {
	T string `json:"t"`
	// verdict, kill
	ID     uint64 `json:"id"`
	Epoch  uint64 `json:"epoch"`
	Action string `json:"action"`
	Reject bool   `json:"reject"`
	Dial   string `json:"dial"`
	// Serve says that sbx answers a redirected flow itself and dials nobody.
	Serve  bool  `json:"serve"`
	TTLMs  int64 `json:"ttlMs"`
	WaitMs int64 `json:"waitMs"`
	// Own is what the question said; kept with a cached verdict.
	Own bool `json:"-"`
	// config
	V                int      `json:"v"`
	MTU              uint32   `json:"mtu"`
	Guest            Endpoint `json:"guest"`
	Gateway          Endpoint `json:"gateway"`
	HostAddresses    []string `json:"hostAddresses"`
	Limits           Limits   `json:"limits"`
	VerdictTimeoutMs int64    `json:"verdictTimeoutMs"`
	// host
	Addresses []string `json:"addresses"`
	// publish, unpublish; reach has a port
	Ref       int    `json:"ref"`
	Bind      string `json:"bind"`
	Port      uint16 `json:"port"`
	GuestPort uint16 `json:"guestPort"`
	Proto     string `json:"proto"`
	// ping
	N uint64 `json:"n"`
}

// Endpoint is one side of the link.
type Endpoint struct {
	MAC string `json:"mac"`
	IP4 string `json:"ip4"`
	IP6 string `json:"ip6"`
}

// Limits bound what the guest can make netstack hold. Zero means the default.
type Limits struct {
	// Flows is the number of TCP and UDP flows alive at once.
	Flows int `json:"flows"`
	// PerSecond is the rate of new flows; zero is no limit.
	PerSecond int `json:"perSecond"`
}

type Hello struct {
	T   string `json:"t"`
	V   int    `json:"v"`
	Pid int    `json:"pid"`
}

type Plain struct {
	T string `json:"t"`
	N uint64 `json:"n,omitempty"`
}

// Pong answers a ping, with the bytes of frames so far.
type Pong struct {
	T         string `json:"t"`
	N         uint64 `json:"n,omitempty"`
	FromGuest uint64 `json:"fromGuest"`
	ToGuest   uint64 `json:"toGuest"`
}

type Flow struct {
	T     string `json:"t"`
	ID    uint64 `json:"id"`
	Epoch uint64 `json:"epoch"`
	FlowInfo
}

// Opening is what an OPEN frame of the flows channel says.
type Opening struct {
	Flow
	Credit int `json:"credit,omitempty"`
}

type Cached struct {
	T  string `json:"t"`
	ID uint64 `json:"id"`
	FlowInfo
	Action string `json:"action"`
}

type First struct {
	T    string `json:"t"`
	ID   uint64 `json:"id"`
	Data []byte `json:"data"`
	End  string `json:"end"`
}

type Opened struct {
	T    string `json:"t"`
	ID   uint64 `json:"id"`
	Dial string `json:"dial"`
}

type Closed struct {
	T    string `json:"t"`
	ID   uint64 `json:"id"`
	Up   int64  `json:"up"`
	Down int64  `json:"down"`
	Ms   int64  `json:"ms"`
	End  string `json:"end"`
}

// Unheard says that nobody in the guest listens on the port that a peer wants.
type Unheard struct {
	T  string `json:"t"`
	ID uint64 `json:"id"`
}

type Limit struct {
	T     string `json:"t"`
	What  string `json:"what"`
	Count int64  `json:"count"`
}

type Published struct {
	T    string `json:"t"`
	Ref  int    `json:"ref"`
	Addr string `json:"addr"`
	Port uint16 `json:"port"`
}

type PublishFailed struct {
	T       string `json:"t"`
	Ref     int    `json:"ref"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

type fatalMessage struct {
	T       string `json:"t"`
	Message string `json:"message"`
}

// Version of the control channel; sbx and netstack come from one build and must agree.
const Version = 1
