package main

// The messages of the control channel, one JSON object each. Fields that a message does not use are
// absent; unknown fields are ignored, unknown types are fatal.

// Actions a verdict can take.
const (
	actionAllow    = "allow"
	actionDeny     = "deny"
	actionInspect  = "inspect"
	actionRedirect = "redirect"
)

// How a flow ended, in `closed`.
const (
	endEOF             = "eof"
	endResetByGuest    = "reset-guest"
	endResetByUpstream = "reset-upstream"
	endRefused         = "refused"
	endUnreachable     = "unreachable"
	endTimeout         = "timeout"
	endIdle            = "idle"
	endKilled          = "killed"
	endGuard           = "guard"
	endGone            = "gone"
	endDenied          = "denied"
	endLimit           = "limit"
)

// flowInfo says which flow a question is about. Outbound, dst is where the guest wants to go;
// inbound, src is the peer and dst the guest.
type flowInfo struct {
	Proto string `json:"proto"`
	Dir   string `json:"dir"`
	Src   string `json:"src"`
	Sport uint16 `json:"sport"`
	Dst   string `json:"dst"`
	Dport uint16 `json:"dport"`
	Ref   int    `json:"ref,omitempty"`
}

// fromSbx is any message that sbx sends.
type fromSbx struct {
	T string `json:"t"`
	// verdict, kill
	ID     uint64 `json:"id"`
	Epoch  uint64 `json:"epoch"`
	Action string `json:"action"`
	Reject bool   `json:"reject"`
	Dial   string `json:"dial"`
	TTLMs  int64  `json:"ttlMs"`
	WaitMs int64  `json:"waitMs"`
	// config
	V                int      `json:"v"`
	MTU              uint32   `json:"mtu"`
	Guest            endpoint `json:"guest"`
	Gateway          endpoint `json:"gateway"`
	HostAddresses    []string `json:"hostAddresses"`
	Limits           limits   `json:"limits"`
	VerdictTimeoutMs int64    `json:"verdictTimeoutMs"`
	// host
	Addresses []string `json:"addresses"`
	// publish, unpublish
	Ref       int    `json:"ref"`
	Bind      string `json:"bind"`
	Port      uint16 `json:"port"`
	GuestPort uint16 `json:"guestPort"`
	Proto     string `json:"proto"`
	// ping
	N uint64 `json:"n"`
}

// endpoint is one side of the link.
type endpoint struct {
	MAC string `json:"mac"`
	IP4 string `json:"ip4"`
	IP6 string `json:"ip6"`
}

// limits bound what the guest can make netstack hold. Zero means the default.
type limits struct {
	// Flows is the number of TCP and UDP flows alive at once.
	Flows int `json:"flows"`
	// Pending is the number of flows that wait for a verdict.
	Pending int `json:"pending"`
	// PerSecond is the rate of new flows; zero is no limit.
	PerSecond int `json:"perSecond"`
}

type helloMessage struct {
	T   string `json:"t"`
	V   int    `json:"v"`
	Pid int    `json:"pid"`
}

type plainMessage struct {
	T string `json:"t"`
	N uint64 `json:"n,omitempty"`
}

type flowMessage struct {
	T     string `json:"t"`
	ID    uint64 `json:"id"`
	Epoch uint64 `json:"epoch"`
	flowInfo
}

// openMessage is what an OPEN frame of the flows channel says.
type openMessage struct {
	flowMessage
	Credit int `json:"credit,omitempty"`
}

type cachedMessage struct {
	T  string `json:"t"`
	ID uint64 `json:"id"`
	flowInfo
	Action string `json:"action"`
}

type firstMessage struct {
	T    string `json:"t"`
	ID   uint64 `json:"id"`
	Data []byte `json:"data"`
	End  string `json:"end"`
}

type openedMessage struct {
	T    string `json:"t"`
	ID   uint64 `json:"id"`
	Dial string `json:"dial"`
}

type closedMessage struct {
	T    string `json:"t"`
	ID   uint64 `json:"id"`
	Up   int64  `json:"up"`
	Down int64  `json:"down"`
	Ms   int64  `json:"ms"`
	End  string `json:"end"`
}

type limitMessage struct {
	T     string `json:"t"`
	What  string `json:"what"`
	Count int64  `json:"count"`
}

type publishedMessage struct {
	T    string `json:"t"`
	Ref  int    `json:"ref"`
	Addr string `json:"addr"`
	Port uint16 `json:"port"`
}

type publishFailedMessage struct {
	T       string `json:"t"`
	Ref     int    `json:"ref"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

type fatalMessage struct {
	T       string `json:"t"`
	Message string `json:"message"`
}
