"""What the operator wants: schema, reading, secrets. Importing this room reads nothing."""
