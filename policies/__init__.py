"""May they? Pure functions: (principal, call, facts) → Decision."""
