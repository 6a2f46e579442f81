package machine

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestAStepsFractionIsPositive(t *testing.T) {
	for us, want := range map[int64]unix.Timeval{
		1_500_000:  {Sec: 1, Usec: 500_000},
		-1_500_000: {Sec: -2, Usec: 500_000},
		-2_000_000: {Sec: -2, Usec: 0},
		-1:         {Sec: -1, Usec: 999_999},
	} {
		got := timexOf(adjustment{AdjustUs: us})
		if got.Time != want || got.Modes != unix.ADJ_SETOFFSET {
			t.Errorf("%d µs became %+v in mode %#x", us, got.Time, got.Modes)
		}
	}
	if got := timexOf(adjustment{AdjustUs: -5, Slew: true}); got.Offset != -5 || got.Modes != unix.ADJ_OFFSET_SINGLESHOT {
		t.Errorf("-5 µs slewed became %+v", got)
	}
}
