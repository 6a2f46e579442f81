package machine

import "testing"

func TestUsageIsOfTheMachineThatRunsIt(t *testing.T) {
	answer, err := Usage(nil)
	if err != nil {
		t.Fatal(err)
	}
	use := answer.(Use)
	if use.Processes < 2 || use.AvailableBytes == 0 || use.AvailableBytes > use.TotalBytes || use.Load[0] < 0 {
		t.Errorf("%+v", use)
	}
}

func TestFieldsOfMemory(t *testing.T) {
	const meminfo = "MemTotal:        1006404 kB\nMemFree: 5 kB\nMemAvailable:\nHugePages_Total:  7\n"
	for name, want := range map[string]uint64{
		"MemTotal": 1006404 << 10, "MemFree": 5 << 10, "MemAvailable": 0, "Mem": 0, "SwapTotal": 0,
	} {
		if got := memoryField(meminfo, name); got != want {
			t.Errorf("%s: %d, want %d", name, got, want)
		}
	}
}
