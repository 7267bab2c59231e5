"""One file an algorithm: run(params, inputs, job) -> outputs."""
