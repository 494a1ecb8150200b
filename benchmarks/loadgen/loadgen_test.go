package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestPercentiles(t *testing.T) {
	var all []time.Duration
	for i := 200; i > 0; i-- {
		all = append(all, time.Duration(i)*time.Millisecond)
	}
	if p50, p99, longest := percentiles(all); p50 != 100 || p99 != 198 || longest != 200 {
		t.Fatal(p50, p99, longest)
	}
	if p50, p99, longest := percentiles(nil); p50 != 0 || p99 != 0 || longest != 0 {
		t.Fatal("of nothing:", p50, p99, longest)
	}
}

func TestParseStat(t *testing.T) {
	line := "7 (a (b) c) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0"
	if got, err := parseStat(line); err != nil || got != 2 {
		t.Fatal(got, err)
	}
	if _, err := parseStat("7 (a)"); err == nil {
		t.Fatal("a short line was taken")
	}
}

// counting gives each client a cookie at /begin and counts the requests that bring it.
func counting(t *testing.T) *httptest.Server {
	var clients atomic.Int64
	counts := make([]atomic.Int64, 8)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /begin", func(w http.ResponseWriter, _ *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "n", Value: fmt.Sprint(clients.Add(1) - 1), Path: "/"})
	})
	mux.HandleFunc("POST /count", func(w http.ResponseWriter, r *http.Request) {
		cookie, err := r.Cookie("n")
		if err != nil {
			w.WriteHeader(400)
			return
		}
		fmt.Fprint(w, counts[cookie.Value[0]-'0'].Add(1))
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}

func plan(server *httptest.Server) Plan {
	return Plan{
		Address: strings.TrimPrefix(server.URL, "http://"), Path: "/count", Setup: "/begin", Clients: 3,
		Warmup: 20 * time.Millisecond, Measure: 50 * time.Millisecond, Timeout: 10 * time.Second, Pids: []string{"self"},
	}
}

func TestEachClientKeepsItsSession(t *testing.T) {
	result, err := Run(plan(counting(t)))
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, session := range result.Sessions {
		if fmt.Sprint(session.Requests) != session.Last {
			t.Error(session)
		}
		total += session.Requests
	}
	if len(result.Sessions) != 3 || result.Requests == 0 || total <= result.Requests || result.PerSecond <= 0 {
		t.Error(result)
	}
	if _, known := result.CPUSeconds["self"]; !known {
		t.Error(result)
	}
}

func TestAnAnswerOtherThan200EndsTheRun(t *testing.T) {
	plan := plan(counting(t))
	plan.Setup = ""
	if _, err := Run(plan); err == nil || !strings.Contains(err.Error(), "answered 400") {
		t.Fatal(err)
	}
}

func TestASilentServerEndsTheRun(t *testing.T) {
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer silent.Close()
	plan := plan(silent)
	plan.Timeout = 50 * time.Millisecond
	if _, err := Run(plan); err == nil {
		t.Fatal("no error")
	}
}

func TestArguments(t *testing.T) {
	got, err := parse([]string{"-address", "a:1", "-pid", "1", "-pid", "2", "-measure", "3s"})
	if err != nil || got.Address != "a:1" || len(got.Pids) != 2 || got.Measure != 3*time.Second {
		t.Fatal(got, err)
	}
	if _, err := parse([]string{"-clients", "1"}); err == nil {
		t.Fatal("no address was taken")
	}
}
