"""How files are written: whole, and no wider readable than they must be."""
