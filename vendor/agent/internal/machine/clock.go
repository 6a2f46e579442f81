package machine

import (
	"encoding/json"
	"time"

	"golang.org/x/sys/unix"
	"sbx.dev/agent/internal/session"
)

// adjustment is the request of "clock". It is a difference and not a time, so that however long it
// travels does not matter.
type adjustment struct {
	// AdjustUs is what the clock lacks, in microseconds; zero only asks for the time.
	AdjustUs int64 `json:"adjustUs"`
	// Slew lets the clock run slower or faster until the difference is gone, so that no program sees
	// the time go backwards.
	Slew bool `json:"slew"`
}

// Time is what "clock" answers.
type Time struct {
	// TimeUs is the guest's time after the adjustment, in microseconds since 1970.
	TimeUs int64 `json:"timeUs"`
}

// Clock is the method "clock". The host measures and decides; this end has a clock.
func Clock(call *session.Call) (any, error) {
	var request adjustment
	if err := json.Unmarshal(call.Request, &request); err != nil {
		return nil, err
	}
	if request.AdjustUs != 0 {
		if err := adjust(request); err != nil {
			return nil, err
		}
	}
	return Time{time.Now().UnixMicro()}, nil
}

func adjust(a adjustment) error {
	change := timexOf(a)
	_, err := unix.Adjtimex(&change)
	return err
}

// timexOf words an adjustment as adjtimex(2) does. A step's fraction has to be positive, whatever the
// sign of the whole.
func timexOf(a adjustment) unix.Timex {
	if a.Slew {
		return unix.Timex{Modes: unix.ADJ_OFFSET_SINGLESHOT, Offset: a.AdjustUs}
	}
	seconds, micros := a.AdjustUs/1e6, a.AdjustUs%1e6
	if micros < 0 {
		seconds, micros = seconds-1, micros+1e6
	}
	return unix.Timex{Modes: unix.ADJ_SETOFFSET, Time: unix.Timeval{Sec: seconds, Usec: micros}}
}
