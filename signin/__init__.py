"""Sign-in with the company account: an OpenID Connect relying party for whoever has pages to guard."""
