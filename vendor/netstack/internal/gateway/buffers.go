package gateway

import (
	"sync"
	"sync/atomic"

	"sbx.dev/netstack/internal/mux"
)

// What the TCP flows of one guest may hold. A guest decides how many there are and whether it reads them,
// so that the more there are, the less each gets: one has all that a local link can fill, and thousands
// that stall still fit into some hundred MiB.

// windows are the bytes that a new flow may have on its way in each direction, by how many flows there are.
// Without a size the stack tunes them itself, up to bufferMax.
var windows = []struct {
	flows int64
	size  int64
}{
	{8, 0},
	{64, 512 << 10},
	{512, 64 << 10},
}

// leastWindow is for the flows beyond.
const leastWindow = 16 << 10

func windowFor(flows int64) int64 {
	for _, window := range windows {
		if flows <= window.flows {
			return window.size
		}
	}
	return leastWindow
}

// creditFor is what a flow that sbx serves may have under way on the flows channel in each direction: nothing
// that it holds there is counted by the stack.
func creditFor(flows int64) int {
	if window := windowFor(flows); window > 0 {
		return min(int(window), mux.Window)
	}
	return mux.Window
}

const smallBuffer = 4 << 10

// bufferSize is a size of copy buffers of which there are only so many; free ones are reused.
type bufferSize struct {
	size  int
	most  int64
	taken atomic.Int64
	pool  sync.Pool
}

// buffers are the sizes that all flows of a guest share.
type buffers struct {
	small *bufferSize
	large []*bufferSize // the largest first
}

func newBuffers() *buffers {
	return &buffers{
		small: &bufferSize{size: smallBuffer, most: 1 << 62},
		large: []*bufferSize{{size: 256 << 10, most: 64}, {size: 32 << 10, most: 1024}},
	}
}

func (s *bufferSize) take() *[]byte {
	if s.taken.Add(1) > s.most {
		s.taken.Add(-1)
		return nil
	}
	if buf, ok := s.pool.Get().(*[]byte); ok {
		return buf
	}
	buf := make([]byte, s.size)
	return &buf
}

// copyBuffer is what one direction of a flow is copied through: small while it idles, since most do, and
// large while it is filled, if one is left.
type copyBuffer struct {
	all *buffers
	of  *bufferSize
	buf *[]byte
}

func (b *buffers) take() *copyBuffer { return &copyBuffer{b, b.small, b.small.take()} }

// fit takes the size that suits after so many bytes were read into it.
func (b *copyBuffer) fit(read int) {
	switch {
	case b.of == b.all.small && read == smallBuffer:
		for _, size := range b.all.large {
			if buf := size.take(); buf != nil {
				b.release()
				b.of, b.buf = size, buf
				return
			}
		}
	case b.of != b.all.small && read < smallBuffer:
		b.release()
		b.of, b.buf = b.all.small, b.all.small.take()
	}
}

func (b *copyBuffer) release() {
	b.of.pool.Put(b.buf)
	b.of.taken.Add(-1)
}
