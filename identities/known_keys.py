"""Keys whose private half anybody can download: test issuers sign with them. In a gateway they prove nothing."""

KNOWN_PUBLIC = frozenset(
    {
        "DThM452l6A6MKX8FOZQarky5V3qqRNx2uSWRZEF_j4A",  # moto's Cognito, kid "dummy"
    }
)
"""RFC 7638 thumbprints."""
