"""Sealing: content is enciphered (AES-256-GCM, NIST SP 800-38D) before it touches the disk.

    storage.seal.key      the master key: wraps the others, and enciphers nothing else. Kept elsewhere.
    <data_dir>/seal.db    the data keys, wrapped: of each person one for a day's content and one for the addresses of
                          chunks, and one of the instance for its search index and thread keys
    journal/<boot>/seal   the key of one worker's life, wrapped

Nonces never repeat, by construction and not by luck (SP 800-38D, 8.2.1): a key seals only in the process that made it,
and that process counts. A key that is read back only opens; whoever cannot find a key in memory makes a new one.
Wrapping has no nonce at all: it is AES Key Wrap (RFC 3394) under a key derived for the very row.

What is sealed is bound to its place (the associated data): put elsewhere, it does not open.
"""
