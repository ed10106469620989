"""Checks of services by the network: a port, a name, a certificate, an address on the web.

What is asked stands in the settings, and nowhere else: no caller of this app can choose a host or a port.
"""

from __future__ import annotations

from status.providers.network.certificates import CertificateCheck
from status.providers.network.names import NameCheck
from status.providers.network.ports import PortCheck
from status.providers.network.web import WebCheck

tcp = PortCheck()
dns = NameCheck()
tls = CertificateCheck()
http = WebCheck()
