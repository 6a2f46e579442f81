package flow

import "time"

// rateLimit lets at most a number of events through in any second, wherever that begins. It remembers when the
// last ones were: a bucket of tokens, like a count that starts anew each second, lets twice as many through
// where a full one meets its refill.
type rateLimit struct {
	perSecond int
	times     []time.Duration // of the last events; full, a ring
	oldest    int
}

func newRateLimit(perSecond int) *rateLimit {
	return &rateLimit{perSecond: perSecond}
}

// allow tells whether one more may happen at this time, and counts it if so. Zero is no limit.
func (r *rateLimit) allow(now time.Duration) bool {
	switch {
	case r.perSecond <= 0:
		return true
	case len(r.times) < r.perSecond:
		r.times = append(r.times, now)
		return true
	case now-r.times[r.oldest] < time.Second:
		return false
	}
	r.times[r.oldest] = now
	r.oldest = (r.oldest + 1) % len(r.times)
	return true
}
