module chatstream.dev/benchmarks/loadgen

go 1.26.0
