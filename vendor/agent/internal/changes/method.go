package changes

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"sbx.dev/agent/internal/session"
	"sbx.dev/agent/internal/tree"
)

type request struct {
	Path []byte `json:"path"`
	// Digests are wanted of files; without, they are only named.
	Digests bool `json:"digests"`
}

// Methods serve the copies that a machine has, by where they are mounted.
func Methods(find func(at string) (Copy, bool)) map[string]session.Method {
	methods := map[string]session.Method{}
	for name, act := range map[string]func(Copy, *session.Call, request, *tree.Writer) error{
		"changes": func(c Copy, _ *session.Call, r request, w *tree.Writer) error { return c.List(w, r.Digests) },
		"take":    func(c Copy, call *session.Call, _ request, w *tree.Writer) error { return c.Take(call.Input, w) },
	} {
		methods[name] = func(call *session.Call) (any, error) {
			var r request
			if err := json.Unmarshal(call.Request, &r); err != nil {
				return nil, err
			}
			c, known := find(string(r.Path))
			if !known {
				return nil, &session.Failure{Code: "not-found", Message: "no copy is mounted there"}
			}
			call.OnEvent(func(event session.Event) {
				if event.Signal != 0 {
					go call.Input.Close() // the host wants no more
				}
			})
			out := bufio.NewWriterSize(call.Output, tree.MaxData)
			if err := errors.Join(act(c, call, r, tree.NewWriter(out)), out.Flush()); err != nil {
				return nil, &session.Failure{Code: "failed", Message: fmt.Sprint(err)}
			}
			return nil, nil
		}
	}
	return methods
}

func opened(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }
