"""Tests of the HTTP server without HTTP."""
