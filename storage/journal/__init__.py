"""The journal: what workers saw, on disk before anything is forwarded.

    <data_dir>/journal/<boot>/lock            held (flock) by the worker as long as it lives
    <data_dir>/journal/<boot>/000001.sqlite   small SQLite files, rotated; one worker appends, the recorder reads

A boot is one life of one worker. Every row carries its exchange's id and its own number, and belongs to one of three
kinds: an intent (who asks what, and what was decided), pieces (reply bytes with their arrival times), a closing
(how it ended). An exchange is whole when its closing row is there, or its worker is dead.
"""
