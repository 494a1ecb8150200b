package main

import (
	"sync"
	"time"
)

// Plan is one run.
type Plan struct {
	Address, Path, Setup     string
	Clients                  int
	Warmup, Measure, Timeout time.Duration
	Pids                     []string
}

// Session is what became of one client: how often it asked for Path, warm-up included, and its last answer.
type Session struct {
	Requests int    `json:"requests"`
	Last     string `json:"last"`
}

// Result is one run's figures. Times in milliseconds, but for Seconds and CPUSeconds, the latter by pid.
type Result struct {
	Requests   int                `json:"requests"`
	Seconds    float64            `json:"seconds"`
	PerSecond  float64            `json:"per_second"`
	P50        float64            `json:"p50_ms"`
	P99        float64            `json:"p99_ms"`
	Max        float64            `json:"max_ms"`
	CPUSeconds map[string]float64 `json:"cpu_seconds"`
	Sessions   []Session          `json:"sessions"`
}

type worker struct {
	client    *Client
	session   Session
	latencies []time.Duration
	err       error
}

// Run makes the clients and their sessions, warms up, measures, and closes everything.
func Run(plan Plan) (Result, error) {
	workers, err := prepare(plan)
	defer func() {
		for _, w := range workers {
			w.client.Close()
		}
	}()
	if err != nil {
		return Result{}, err
	}
	if err := phase(workers, plan.Path, plan.Warmup); err != nil {
		return Result{}, err
	}
	for _, w := range workers {
		w.latencies = w.latencies[:0]
	}
	before, err := cpuSeconds(plan.Pids)
	if err != nil {
		return Result{}, err
	}
	began := time.Now()
	if err := phase(workers, plan.Path, plan.Measure); err != nil {
		return Result{}, err
	}
	seconds := time.Since(began).Seconds()
	after, err := cpuSeconds(plan.Pids)
	if err != nil {
		return Result{}, err
	}
	for pid, used := range before {
		after[pid] -= used
	}
	return summarize(workers, seconds, after), nil
}

func prepare(plan Plan) ([]*worker, error) {
	deadline := time.Now().Add(plan.Timeout)
	var workers []*worker
	for range plan.Clients {
		client, err := Dial(plan.Address, deadline)
		if err != nil {
			return workers, err
		}
		workers = append(workers, &worker{client: client})
		if plan.Setup != "" {
			if err := client.Post(plan.Setup); err != nil {
				return workers, err
			}
		}
	}
	return workers, nil
}

// phase lets every worker ask again and again for that long; a request that has begun is awaited.
func phase(workers []*worker, path string, length time.Duration) error {
	var group sync.WaitGroup
	end := time.Now().Add(length)
	for _, w := range workers {
		group.Go(func() { w.ask(path, end) })
	}
	group.Wait()
	for _, w := range workers {
		if w.err != nil {
			return w.err
		}
	}
	return nil
}

func (w *worker) ask(path string, end time.Time) {
	for began := time.Now(); began.Before(end); {
		if w.err = w.client.Post(path); w.err != nil {
			return
		}
		now := time.Now()
		w.latencies = append(w.latencies, now.Sub(began))
		began = now
		w.session.Requests++
	}
	w.session.Last = string(w.client.body)
}

func summarize(workers []*worker, seconds float64, cpu map[string]float64) Result {
	var all []time.Duration
	result := Result{Seconds: seconds, CPUSeconds: cpu}
	for _, w := range workers {
		all = append(all, w.latencies...)
		result.Sessions = append(result.Sessions, w.session)
	}
	result.Requests = len(all)
	result.PerSecond = float64(len(all)) / seconds
	result.P50, result.P99, result.Max = percentiles(all)
	return result
}
