"""All that a worker has to know to serve a project: read from its folder and the command line, in each process anew."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headrace.errors import UnknownNameError
from headrace.platform import Platform
from headrace.platform.settings import FILE_NAME
from headrace.server.door import Door
from headrace.server.notes import Notes
from headrace.server.options import NAMES, ServeOptions, serve_options
from headrace.server.security.exposure import check_exposed, is_loopback
from headrace.server.security.guard import guard_of
from headrace.server.security.settings import SecuritySettings, security_settings
from headrace.server.security.sites import sites_of
from headrace.server.security.tls import Certificate


@dataclass(frozen=True, slots=True)
class Setup:
    """A project, and how it is to be served.

    Parameters
    ----------
    platform : Platform
        The project.
    host : str
        The address to listen at.
    options : ServeOptions
        The limits.
    security : SecuritySettings
        What is asked of callers.
    """

    platform: Platform
    host: str
    options: ServeOptions
    security: SecuritySettings

    @classmethod
    def read(cls, project: Path, host: str, given: Mapping[str, Any]) -> Setup:
        """Read a project's settings, and refuse to serve others without knowing who they are.

        Parameters
        ----------
        project : Path
            Its folder.
        host : str
            The address to listen at.
        given : mapping
            What the command line says: settings of ``[serve]`` that count more than the file's.

        Raises
        ------
        SettingsError
            If a setting is wrong, or the address can be reached from elsewhere and keys or TLS are missing.
        UnknownNameError
            If a service that may be stale does not exist.
        """
        platform = Platform.open(project)
        context = platform.context
        table, place = context.settings.serve, str(context.root / FILE_NAME)
        ours = {name: value for name, value in given.items() if name in NAMES}
        others = {name: value for name, value in given.items() if name not in NAMES}
        options = serve_options(table, place, ours, os.environ)
        for service in options.stale_if_error:
            if service not in context.definitions.services:
                services = context.definitions.services
                raise UnknownNameError.of("service", service, services, f"{place}, [serve.stale_if_error]")
        security = security_settings(table, os.environ, place, NAMES, others)
        check_exposed(host, security, context.root, context.clock())
        return cls(platform, host, options, security)

    def door(self) -> Door:
        """Who may ask, and what is noted of it."""
        context = self.platform.context
        guard = guard_of(self.security, context.root, context.clock, exposed=not is_loopback(self.host))
        return Door(guard, sites_of(self.host, self.security))

    def notes(self) -> Notes:
        """What is noted of answers."""
        return Notes.of(self.platform.context, self.options.log, self.options.log_keep_days)

    def certificate(self) -> Certificate | None:
        """The certificate, where there is one."""
        return Certificate(self.security, self.platform.context.root) if self.security.has_tls else None
