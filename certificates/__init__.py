"""The certificate authority of the forward modes: made, limited, kept, renewed, and made known to clients."""
