"""What we show the providers: keys, tokens, signatures. Kept fresh in the background; handed out without waiting."""
