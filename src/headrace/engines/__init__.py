"""Engines: from silver rows to steps. `base.Engine` is what each of them does; `polars` is the embedded one."""
