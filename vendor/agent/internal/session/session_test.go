package session

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"sbx.dev/agent/internal/wire"
)

// host is the other end of a session, in the words of the protocol.
type host struct {
	t     *testing.T
	conn  net.Conn
	ended chan error
}

type frame struct {
	kind    wire.Kind
	call    uint32
	stream  uint8
	payload string
}

func connect(t *testing.T, methods map[string]Method) *host {
	t.Helper()
	ours, theirs := net.Pipe()
	h := &host{t: t, conn: ours, ended: make(chan error, 1)}
	go func() {
		s := Session{Methods: methods}
		h.ended <- s.Serve(theirs)
		theirs.Close()
	}()
	t.Cleanup(func() { ours.Close() })
	return h
}

func (h *host) send(f frame) {
	room := append(make([]byte, wire.HeaderSize), f.payload...)
	h.conn.SetDeadline(time.Now().Add(10 * time.Second))
	if err := wire.NewWriter(h.conn).Send(f.kind, f.call, f.stream, room); err != nil {
		h.t.Fatal(err)
	}
}

// next reads one frame of the agent.
func (h *host) next() frame {
	h.t.Helper()
	h.conn.SetDeadline(time.Now().Add(10 * time.Second))
	var head [wire.HeaderSize]byte
	if _, err := io.ReadFull(h.conn, head[:]); err != nil {
		h.t.Fatal(err)
	}
	payload := make([]byte, binary.BigEndian.Uint32(head[:])&0xffffff)
	if _, err := io.ReadFull(h.conn, payload); err != nil {
		h.t.Fatal(err)
	}
	word := binary.BigEndian.Uint32(head[4:])
	return frame{wire.Kind(head[0]), word >> 8, uint8(word), string(payload)}
}

func (h *host) expect(want ...frame) {
	h.t.Helper()
	for _, w := range want {
		if got := h.next(); got != w {
			h.t.Fatalf("got %+v, want %+v", got, w)
		}
	}
}

func u32(n uint32) string { return string(binary.BigEndian.AppendUint32(nil, n)) }

func echo(c *Call) (any, error) { return nil, c.Output.CopyFrom(c.Input) }

func TestACallRunsFromCallToResult(t *testing.T) {
	h := connect(t, map[string]Method{"echo": echo})
	h.send(frame{wire.Call, 1, 0, `{"method":"echo"}`})
	h.send(frame{wire.Data, 1, 0, "hello"})
	h.expect(frame{wire.Data, 1, 1, "hello"})
	h.send(frame{wire.EOF, 1, 0, ""})
	h.expect(
		frame{wire.EOF, 1, 1, ""},
		frame{wire.EOF, 1, 2, ""},
		frame{wire.Result, 1, 0, `{"ok":{}}`},
	)
}

func TestAFailureHasItsCodeAndNoEnds(t *testing.T) {
	h := connect(t, map[string]Method{
		"coded": func(*Call) (any, error) { return nil, &Failure{"not-found", "nothing there"} },
		"plain": func(*Call) (any, error) { return nil, errors.New("broken") },
	})
	for call, method := range []string{"coded", "plain", "nonsense"} {
		h.send(frame{wire.Call, uint32(call + 1), 0, `{"method":"` + method + `"}`})
		h.expect(frame{wire.Stop, uint32(call + 1), 0, ""})
		want := []string{
			`{"error":{"code":"not-found","message":"nothing there"}}`,
			`{"error":{"code":"failed","message":"broken"}}`,
			`{"error":{"code":"unknown-method","message":"unknown method"}}`,
		}[call]
		h.expect(frame{wire.Result, uint32(call + 1), 0, want})
	}
}

func TestAStalledStreamSendsItsWindowAndHoldsUpNoOtherCall(t *testing.T) {
	endless := func(c *Call) (any, error) { return nil, c.Output.CopyFrom(zeros{}) }
	h := connect(t, map[string]Method{"endless": endless, "echo": echo})
	h.send(frame{wire.Call, 1, 0, `{"method":"endless"}`})
	for got := 0; got < wire.Window; {
		got += len(h.next().payload)
	}
	h.send(frame{wire.Call, 2, 0, `{"method":"echo"}`})
	h.send(frame{wire.Data, 2, 0, "through"})
	h.expect(frame{wire.Data, 2, 1, "through"})
	h.send(frame{wire.Credit, 1, 1, u32(3)})
	h.expect(frame{wire.Data, 1, 1, "\x00\x00\x00"})
	h.send(frame{wire.Stop, 1, 1, ""})
	h.expect(frame{wire.Stop, 1, 0, ""}, frame{wire.Result, 1, 0, `{"error":{"code":"failed","message":"` + errStopped.Error() + `"}}`})
}

func TestCreditComesBackForWhatWasTaken(t *testing.T) {
	taken := make(chan struct{})
	h := connect(t, map[string]Method{"sink": func(c *Call) (any, error) {
		<-taken
		n, err := io.Copy(io.Discard, c.Input)
		return n, err
	}})
	h.send(frame{wire.Call, 1, 0, `{"method":"sink"}`})
	for range wire.Window / wire.MaxData {
		h.send(frame{wire.Data, 1, 0, strings.Repeat("x", wire.MaxData)})
	}
	close(taken)
	for back := 0; back < wire.Window; {
		f := h.next()
		if f.kind != wire.Credit || f.stream != 0 {
			t.Fatalf("got %+v, want credit", f)
		}
		back += int(binary.BigEndian.Uint32([]byte(f.payload)))
	}
}

func TestEventsWaitForTheirReceiver(t *testing.T) {
	ready := make(chan struct{})
	events := make(chan Event, 2)
	h := connect(t, map[string]Method{"listen": func(c *Call) (any, error) {
		<-ready
		c.OnEvent(func(e Event) { events <- e })
		io.Copy(io.Discard, c.Input)
		return nil, nil
	}})
	h.send(frame{wire.Call, 1, 0, `{"method":"listen"}`})
	h.send(frame{wire.Signal, 1, 0, "\x0f"})
	close(ready)
	h.send(frame{wire.Resize, 1, 0, "\x00\x50\x00\x18"})
	if e := <-events; e != (Event{Signal: 15}) {
		t.Errorf("got %+v, want signal 15", e)
	}
	if e := <-events; e != (Event{Columns: 80, Rows: 24}) {
		t.Errorf("got %+v, want 80 × 24", e)
	}
}

func TestFramesOfAFinishedCallAreDropped(t *testing.T) {
	h := connect(t, map[string]Method{"done": func(*Call) (any, error) { return nil, nil }, "echo": echo})
	h.send(frame{wire.Call, 1, 0, `{"method":"done"}`})
	for h.next().kind != wire.Result {
	}
	h.send(frame{wire.Data, 1, 0, "late"})
	h.send(frame{wire.Signal, 1, 0, "\x0f"})
	h.send(frame{wire.Call, 2, 0, `{"method":"echo"}`})
	h.send(frame{wire.Data, 2, 0, "on"})
	h.expect(frame{wire.Data, 2, 1, "on"})
}

func TestViolationsEndTheSession(t *testing.T) {
	open := frame{wire.Call, 5, 0, `{"method":"idle"}`}
	full := frame{wire.Data, 5, 0, strings.Repeat("x", wire.MaxData)}
	for name, frames := range map[string][]frame{
		"a call that was not opened": {{wire.Data, 1, 0, "x"}},
		"a call opened twice":        {open, open},
		"calls backwards":            {open, {wire.Call, 4, 0, `{"method":"idle"}`}},
		"a request that is not JSON": {{wire.Call, 1, 0, `{"method"`}},
		"more than the window":       {open, full, full, full, full, {wire.Data, 5, 0, "x"}},
		"bytes after the end":        {open, {wire.EOF, 5, 0, ""}, {wire.Data, 5, 0, "x"}},
		"credit of nothing":          {open, {wire.Credit, 5, 1, u32(0)}},
		"credit beyond the window":   {open, {wire.Credit, 5, 1, u32(1)}},
	} {
		t.Run(name, func(t *testing.T) {
			h := connect(t, map[string]Method{"idle": func(*Call) (any, error) { select {} }})
			for _, f := range frames {
				h.send(f)
			}
			if err := <-h.ended; !errors.Is(err, errViolation) {
				t.Errorf("ended with %v, want a violation", err)
			}
		})
	}
}

func TestTheSessionEndsQuietlyWhenTheHostLeaves(t *testing.T) {
	h := connect(t, nil)
	h.conn.Close()
	if err := <-h.ended; err != nil {
		t.Errorf("ended with %v", err)
	}
}

func TestResultsAreJSON(t *testing.T) {
	h := connect(t, map[string]Method{"say": func(*Call) (any, error) {
		return nil, errors.New("quote \" and \x01 and \xff")
	}})
	h.send(frame{wire.Call, 1, 0, `{"method":"say"}`})
	h.next()
	if f := h.next(); !json.Valid([]byte(f.payload)) {
		t.Errorf("result %q is not JSON", f.payload)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}
