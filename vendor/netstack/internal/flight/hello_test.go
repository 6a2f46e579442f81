package flight

import (
	"encoding/base64"
	"encoding/json"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"sbx.dev/netstack/internal/nettest"
)

// firstFlight is one of the vectors that sbx reads, too.
type firstFlight struct {
	What   string            `json:"what"`
	Text   string            `json:"text"`
	Bytes  string            `json:"bytes"`
	States map[string]string `json:"states"` // by the number of bytes from which on it holds
}

var stateNames = map[State]string{
	Partial: "partial", Open: "open", Whole: "whole", Opaque: "opaque",
}

func firstFlights(t testing.TB) []firstFlight {
	t.Helper()
	file, err := os.ReadFile("../../../../test/vectors/first_flights.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []firstFlight
	if err := json.Unmarshal(file, &vectors); err != nil {
		t.Fatal(err)
	}
	return vectors
}

func (v firstFlight) data(t testing.TB) []byte {
	if v.Text != "" {
		return []byte(v.Text)
	}
	data, err := base64.StdEncoding.DecodeString(v.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func stateOf(data []byte) State {
	var f Reader
	return f.Feed(data)
}

func TestEveryPrefixOfAFirstFlightIsWhatSbxTakesItFor(t *testing.T) {
	for _, vector := range firstFlights(t) {
		data, want := vector.data(t), ""
		for n := range len(data) + 1 {
			if state, ok := vector.States[strconv.Itoa(n)]; ok {
				want = state
			}
			if got := stateNames[stateOf(data[:n])]; got != want {
				t.Errorf("%s, the first %d bytes: %s, want %s", vector.What, n, got, want)
				break
			}
		}
	}
}

func TestTheSameBytesAreTheSameFlightHoweverTheyAreCut(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, vector := range firstFlights(t) {
		data := vector.data(t)
		want := stateOf(data)
		for at := range len(data) {
			var f Reader
			f.Feed(data[:at])
			if got := f.Feed(data[at:]); got != want {
				t.Fatalf("%s, cut at %d: %s, want %s", vector.What, at, stateNames[got], stateNames[want])
			}
		}
		var f Reader
		for rest := data; len(rest) > 0; {
			n := 1 + random.IntN(len(rest))
			f.Feed(rest[:n])
			rest = rest[n:]
		}
		if f.State != want {
			t.Errorf("%s, cut at random: %s, want %s", vector.What, stateNames[f.State], stateNames[want])
		}
	}
}

// A hello that is more than its first flight is held back from where its record ends.
func TestTheEndOfAHelloIsFound(t *testing.T) {
	hello := nettest.ClientHello(t, "api.allowed.test")
	for _, size := range []int{1, 5, 100, len(hello)} {
		data := nettest.SplitRecords(hello, size)
		var f Reader
		f.Feed(append(data, hello...))
		if !f.IsHello() || f.Length != len(data) {
			t.Errorf("in records of %d: ends at %d, want %d", size, f.Length, len(data))
		}
	}
}
