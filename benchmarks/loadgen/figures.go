package main

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ticksPerSecond is what Linux counts processor time in for programs, on every architecture that Go knows.
const ticksPerSecond = 100

// percentiles gives the median, the 99th percentile and the longest of what was measured, in milliseconds:
// of each the smallest value that at least so many do not exceed. Zeroes of nothing.
func percentiles(all []time.Duration) (p50, p99, longest float64) {
	if len(all) == 0 {
		return 0, 0, 0
	}
	slices.Sort(all)
	at := func(share float64) float64 {
		rank := int(math.Ceil(share*float64(len(all)))) - 1
		return float64(all[rank]) / float64(time.Millisecond)
	}
	return at(0.5), at(0.99), at(1)
}

// cpuSeconds reads how much processor time each process has used so far, in itself and for it in the kernel.
func cpuSeconds(pids []string) (map[string]float64, error) {
	used := map[string]float64{}
	for _, pid := range pids {
		text, err := os.ReadFile("/proc/" + pid + "/stat")
		if err != nil {
			return nil, err
		}
		if used[pid], err = parseStat(string(text)); err != nil {
			return nil, err
		}
	}
	return used, nil
}

// parseStat takes the fields utime and stime out of /proc/PID/stat; the program's name before them may hold
// blanks and brackets.
func parseStat(text string) (float64, error) {
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("not a line of /proc/PID/stat: %.60q", text)
	}
	var ticks float64
	for _, field := range fields[11:13] {
		value, err := strconv.ParseFloat(field, 64)
		if err != nil {
			return 0, err
		}
		ticks += value
	}
	return ticks / ticksPerSecond, nil
}
