package watch

import (
	"fmt"
	"os"
	"testing"

	"sbx.dev/netstack/internal/nettest"
)

func TestMain(m *testing.M) {
	nettest.Play(m, map[string]func(){
		"netstack": func() {
			if err := Run(os.Args[2:]); err != nil {
				fmt.Fprintln(os.Stderr, "netstack:", err)
				os.Exit(1)
			}
		},
	})
}
