"""One module a command, each with main(argv) -> exit code. Only these and cli.py print."""
