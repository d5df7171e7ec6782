"""adt-gateway."""
