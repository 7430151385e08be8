"""One module per command of the command line: `add_arguments`, `execute`, `EXAMPLES`."""
