// Command loadgen loads one HTTP server in a closed loop and prints what it measured as one line of JSON.
//
// Each client is one keep-alive connection that sends its next request when the answer to the last one is there,
// and keeps the cookies that it is given. Whatever goes wrong ends the run: figures with errors in them are none.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"
)

type pids []string

func (p *pids) String() string         { return fmt.Sprint(*p) }
func (p *pids) Set(value string) error { *p = append(*p, value); return nil }

func parse(arguments []string) (Plan, error) {
	var plan Plan
	flags := flag.NewFlagSet("loadgen", flag.ContinueOnError)
	flags.StringVar(&plan.Address, "address", "", "host:port of the server")
	flags.StringVar(&plan.Path, "path", "/", "what is measured: POST to this path, without a body")
	flags.StringVar(&plan.Setup, "setup", "", "POST to this path once for each client, first (none: skip)")
	flags.IntVar(&plan.Clients, "clients", 16, "connections, each with cookies of its own")
	flags.DurationVar(&plan.Warmup, "warmup", time.Second, "how long requests are sent that do not count")
	flags.DurationVar(&plan.Measure, "measure", 2*time.Second, "how long requests are sent that count")
	flags.DurationVar(&plan.Timeout, "timeout", 30*time.Second, "for the whole run, the setup in it")
	flags.Var((*pids)(&plan.Pids), "pid", "a process whose processor time is measured (repeat for several)")
	if err := flags.Parse(arguments); err != nil {
		return plan, err
	}
	if plan.Address == "" || plan.Clients < 1 || plan.Measure <= 0 || flags.NArg() != 0 {
		return plan, errors.New("-address is needed, -clients and -measure must be above 0, nothing else is taken")
	}
	return plan, nil
}

func main() {
	plan, err := parse(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "loadgen:", err)
		os.Exit(2)
	}
	result, err := Run(plan)
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(result)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "loadgen:", err)
		os.Exit(1)
	}
}
