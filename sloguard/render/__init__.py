"""Core data in; text, tables, pictures and documents out."""
