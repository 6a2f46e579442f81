// Command limactl plays the part of Lima's limactl and hostagent towards an external driver: it starts the
// driver as Lima does, makes the calls that it is told to on stdin, and prints what comes back, one JSON
// object a line each. Killed, it is a hostagent that was killed.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// order is one line on stdin.
type order struct {
	ID     int    `json:"id"`
	Method string `json:"method"` // of the service
	Value  string `json:"value"`  // what it is given; empty: nothing
}

// answer is one line on stdout. A stream has many, and its end is the one that is done.
type answer struct {
	ID      int    `json:"id"`
	Value   string `json:"value"`
	Success bool   `json:"success"`
	Error   string `json:"error"`
	Done    bool   `json:"done"`
}

var printing sync.Mutex

func say(line answer) {
	printing.Lock()
	defer printing.Unlock()
	json.NewEncoder(os.Stdout).Encode(line)
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: limactl DRIVER INSTANCE-DIRECTORY")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "limactl:", err)
		os.Exit(1)
	}
}

func run(driver, directory string) error {
	socket := filepath.Join(directory, "sbx.drv.sock")
	if !answers(socket) { // a driver that is there already is reused
		if err := start(driver, directory, socket); err != nil {
			return err
		}
	}
	connection, err := grpc.NewClient("unix:"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	say(answer{Done: true}) // the driver is there
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var o order
		if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
			return err
		}
		if o.Method == "Start" {
			go stream(connection, o)
		} else {
			go call(connection, o)
		}
	}
	return lines.Err()
}

func answers(socket string) bool {
	conn, err := net.DialTimeout("unix", socket, 2*time.Second)
	if err == nil {
		conn.Close()
	}
	return err == nil
}

// start gives the driver ten seconds, as Lima does.
func start(driver, directory, socket string) error {
	log, err := os.OpenFile(filepath.Join(directory, "driver.stderr.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	command := exec.Command(driver, "--inst-dir", directory)
	command.Stderr = log
	if err := command.Start(); err != nil {
		return err
	}
	os.WriteFile(filepath.Join(directory, "sbx.drv.pid"), []byte(strconv.Itoa(command.Process.Pid)), 0o644)
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	for limit := time.After(10 * time.Second); !answers(socket); {
		select {
		case err := <-ended:
			return fmt.Errorf("the driver ended before it listened: %v", err)
		case <-limit:
			return fmt.Errorf("the driver does not listen")
		case <-time.After(50 * time.Millisecond):
		}
	}
	return nil
}

// call makes a call with one answer. Messages with one field are the well-known wrappers on the wire.
func call(connection *grpc.ClientConn, o order) {
	var in any = &emptypb.Empty{}
	if o.Value != "" {
		in = wrapperspb.String(o.Value)
	}
	var out wrapperspb.BytesValue
	limit := 10 * time.Second
	if o.Method == "Stop" {
		limit = 3 * time.Minute
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	err := connection.Invoke(ctx, "/Driver/"+o.Method, in, &out)
	say(answer{ID: o.ID, Value: string(out.Value), Success: err == nil, Error: text(err), Done: true})
}

func stream(connection *grpc.ClientConn, o order) {
	starts, err := connection.NewStream(context.Background(), &grpc.StreamDesc{ServerStreams: true}, "/Driver/Start")
	if err == nil {
		err = starts.SendMsg(&emptypb.Empty{})
	}
	if err == nil {
		err = starts.CloseSend()
	}
	for err == nil {
		var message wrapperspb.BoolValue
		if err = starts.RecvMsg(&message); err == nil {
			say(answer{ID: o.ID, Success: message.Value, Error: second(message.ProtoReflect().GetUnknown())})
		}
	}
	if err == io.EOF { // the stream's end
		err = nil
	}
	say(answer{ID: o.ID, Success: err == nil, Error: text(err), Done: true})
}

// second is the text in a message's second field.
func second(fields []byte) string {
	if _, _, size := protowire.ConsumeTag(fields); size > 0 {
		value, _ := protowire.ConsumeString(fields[size:])
		return value
	}
	return ""
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
