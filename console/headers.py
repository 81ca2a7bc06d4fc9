"""What every answer says to the browser: run nothing but our own files, load nothing from elsewhere, keep nothing."""

from typing import Final

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""CSP Level 3. No inline script or style, no eval, no picture, frame, form or request to anywhere else."""

_ALWAYS: Final = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",  # no-referrer would make the origin of our own forms `null`
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=()",
    "x-frame-options": "DENY",
}


def protected(headers: list[tuple[bytes, bytes]], *, kept: bool, secure: bool) -> list[tuple[bytes, bytes]]:
    """These headers with ours. `kept`: a file of our own, which the browser may keep. `secure`: this came over https,
    and may come in no other way from now on (RFC 6797)."""
    ours = {**_ALWAYS, "cache-control": "max-age=3600" if kept else "no-store"}
    if secure:
        ours["strict-transport-security"] = "max-age=31536000"
    names = {name.encode() for name in ours}
    return [
        *((name, value) for name, value in headers if name.lower() not in names),
        *((name.encode(), value.encode()) for name, value in ours.items()),
    ]
