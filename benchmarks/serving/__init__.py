"""Measuring a server of features over HTTP: the same requests, load tool and figures for each."""
