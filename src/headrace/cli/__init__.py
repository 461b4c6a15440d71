"""The command line: each command parses its options, calls one method of the platform and prints.

A command is one file here, named after it, with a Typer application called ``app``, and one line in
`headrace.cli.commands.SECTIONS`. Nothing of it is imported before it is run.
"""
