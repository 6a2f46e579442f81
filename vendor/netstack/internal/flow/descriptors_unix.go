//go:build unix

package flow

import "golang.org/x/sys/unix"

// spareDescriptors are for what is no flow: channels, listeners, questions to the kernel, the answer to a flow
// that is one too many. sbx has the same limit, and needs as many for itself.
const spareDescriptors = 32

// roomForFlows is how many sockets this process can hold for flows. The Go runtime has raised its limit to the
// hard one by now.
func roomForFlows() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || limit.Cur > 1<<30 {
		return 1 << 30
	}
	return max(int(limit.Cur)-spareDescriptors, 1)
}
