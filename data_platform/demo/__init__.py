"""The demo: raw rows to a model and to answers, one file a chapter, and a project left to explore."""

from data_platform.demo.run import run_demo

__all__ = ["run_demo"]
