package gateway

import "sync/atomic"

// maxIdleWorkers is how many goroutines wait for a next connection.
const maxIdleWorkers = 64

// workers carries connections on goroutines that carried others before. A handshake needs a deep stack, and
// a new goroutine grows to it by copying, again and again.
type workers struct {
	tasks chan func()
	idle  *atomic.Int32
}

func newWorkers() workers { return workers{make(chan func()), new(atomic.Int32)} }

// do runs a task on another goroutine.
func (w workers) do(task func()) {
	select {
	case w.tasks <- task:
	default:
		go w.work(task)
	}
}

func (w workers) work(task func()) {
	for {
		task()
		if w.idle.Add(1) > maxIdleWorkers {
			w.idle.Add(-1)
			return
		}
		task = <-w.tasks
		w.idle.Add(-1)
	}
}
