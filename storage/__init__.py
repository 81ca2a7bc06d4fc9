"""Where records live: the journal that workers append to, and the stores that the recorder fills from it."""
