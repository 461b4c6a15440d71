"""Connectors: how rows come in. One file a format, all behind the protocol in `base`."""
