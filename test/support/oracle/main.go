// Command oracle reads and writes HTTP with Go's own code, so that ours can be compared with it. Each line on
// stdin is a question in JSON, each on stdout its answer. State is kept: the compression tables of HPACK are those
// of one connection from the first question to the last.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"

	"golang.org/x/net/http2/hpack"
)

const maxTable = 4096

type field struct {
	Name      string `json:"name"`
	Value     string `json:"value"`
	Sensitive bool   `json:"sensitive"`
}

// question has one of these set.
type question struct {
	Encode   []field `json:"encode"`
	Table    *uint32 `json:"table"` // of the encoder, from this block on
	Decode   []byte  `json:"decode"`
	Fresh    bool    `json:"fresh"`    // by a decoder whose first block it is
	Requests []byte  `json:"requests"` // one after the other, as a server reads them
}

// Text of peers may be any bytes, so it travels as such.
type request struct {
	Method []byte `json:"method"`
	Target []byte `json:"target"`
	Host   []byte `json:"host"`
}

type read struct {
	Name  []byte `json:"name"`
	Value []byte `json:"value"`
}

type answer struct {
	Block    []byte    `json:"block"`
	Fields   []read    `json:"fields"`
	Requests []request `json:"requests"`
	Error    string    `json:"error"`
}

func main() {
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	decoder := hpack.NewDecoder(maxTable, nil)
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 64<<20)
	out := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var q question
		if err := json.Unmarshal(lines.Bytes(), &q); err != nil {
			fmt.Fprintln(os.Stderr, "oracle:", err)
			os.Exit(1)
		}
		var a answer
		switch {
		case q.Encode != nil:
			if q.Table != nil {
				encoder.SetMaxDynamicTableSize(*q.Table)
			}
			for _, f := range q.Encode {
				encoder.WriteField(hpack.HeaderField{Name: f.Name, Value: f.Value, Sensitive: f.Sensitive})
			}
			a.Block = bytes.Clone(block.Bytes())
			block.Reset()
		case q.Decode != nil:
			d := decoder
			if q.Fresh {
				d = hpack.NewDecoder(maxTable, nil)
			}
			fields, err := d.DecodeFull(q.Decode)
			for _, f := range fields {
				a.Fields = append(a.Fields, read{[]byte(f.Name), []byte(f.Value)})
			}
			if err != nil {
				a.Error = err.Error()
			}
		default:
			a.Requests = requests(q.Requests)
		}
		out.Encode(a)
	}
}

// requests reads as many as there are, the last one cut short if it is.
func requests(stream []byte) []request {
	found := []request{}
	in := bufio.NewReader(bytes.NewReader(stream))
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return found
		}
		found = append(found, request{[]byte(r.Method), []byte(r.RequestURI), []byte(r.Host)})
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return found
		}
	}
}
