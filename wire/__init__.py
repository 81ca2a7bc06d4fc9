"""What the bytes mean. Pure: no I/O, no clock, no randomness, no logging; `feed(bytes)`, then `close()`.

A reply goes decoding → framing → folder: the content coding is undone, the bytes are cut into events, and the API's
own folder makes of them the object that the API would have returned unstreamed. `routes` knows which API a path is.
"""
