// Command load is the client side of network tests and measurements. It runs where the guest would be, does
// one thing to one server of the fake internet, and prints what it saw as one JSON object.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
)

const usage = `usage: load WHAT [flags]
  connect  --to HOST:PORT --count N          sequential connections: microseconds, p50 and p99
  fresh    --block CIDR --port P --count N   the same, each to an address not used before
  rate     --to HOST:PORT --parallel N --seconds S   connections per second
  up, down --to HOST:PORT --bytes N          one bulk stream, its hash compared
  pour     --to HOST:PORT --way W --millis N one bulk stream up or down for a time, unchecked
  serve    --to ADDR                         the server of connect, fresh, rate, pour, and of udp on ADDR
  udp      --to HOST:PORT --count N --size B echo round trips: microseconds
  hold     --to HOST:PORT --count N          N connections at once, each echoed while all are open
  keep     --to HOST:PORT --count N          N idle connections, until stdin ends
  halves   --to HOST:PORT --bytes N          half-close in either direction
  synflood --to ADDR:PORT --count N --device D   SYNs that nobody completes
  spray    --block CIDR --count N --size B   datagrams, each to another place
  ask      --to HOST:PORT --count N --parallel N --way W   questions for names, "fresh" or "known": microseconds
  answer   --to HOST:PORT                    the resolver of ask, which knows every name
  get      --to URL                          the body of one response
  server   --to ADDR:PORT                    a server of the guest, TCP and UDP, in the address's family only
  idle     --to HOST:PORT --count N          N connections that say nothing, until it is killed
  tap      --device NAME [--wire PATH]       a TAP device whose frames go over descriptor 3, or a unix socket
`

func main() {
	if len(os.Args) < 2 {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	f := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	o := options{}
	f.StringVar(&o.to, "to", "", "")
	f.StringVar(&o.block, "block", "", "")
	f.StringVar(&o.device, "device", "tap0", "")
	f.StringVar(&o.wire, "wire", "", "")
	f.IntVar(&o.port, "port", 7, "")
	f.IntVar(&o.count, "count", 1000, "")
	f.IntVar(&o.size, "size", 64, "")
	f.IntVar(&o.parallel, "parallel", 50, "")
	f.IntVar(&o.seconds, "seconds", 3, "")
	f.IntVar(&o.millis, "millis", 1000, "")
	f.StringVar(&o.way, "way", "up", "")
	f.Int64Var(&o.bytes, "bytes", 1<<30, "")
	f.Parse(os.Args[2:])
	tasks := map[string]func(options) (any, error){
		"connect": connect, "fresh": fresh, "rate": rate, "up": up, "down": down,
		"udp": udp, "hold": hold, "keep": keep, "halves": halves, "tap": tap, "synflood": synFlood, "spray": spray,
		"pour": pour, "serve": serve, "get": get, "ask": ask, "answer": answer,
		"server": server, "idle": idle,
	}
	task, known := tasks[os.Args[1]]
	if !known {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	result, err := task(o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
	json.NewEncoder(os.Stdout).Encode(result)
}

type options struct {
	to, block, device, wire, way                 string
	port, count, size, parallel, seconds, millis int
	bytes                                        int64
}
