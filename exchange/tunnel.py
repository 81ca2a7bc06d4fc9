"""A connection that is not read, or not yet."""

from typing import Literal

WhyUnread = Literal["passed", "noted", "blocked", "tls_refused_by_client", "tls_failed", "unused", "unreachable"]
"""Why a connection was seen and not read.

passed                 its host passes unread, by agreement (`hosts`: pass)
noted                  its host passes unread (`hosts`: pass-and-note)
blocked                its host does not pass (`hosts`: block)
tls_refused_by_client  it would have been read, and the caller did not take our certificate
tls_failed             it would have been read, and its TLS came to nothing
unused                 it would have been read, and its caller left after the handshake without asking anything: a
                       connection made ahead, or a program that looks at certificates only then, and does not trust ours
unreachable            it would have passed, and there was no connection to its host
"""
