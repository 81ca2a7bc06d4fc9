"""The people's side: sign-in, tokens of one's own, a small chat page. A process of its own behind the workers."""
