"""One module per version of the store's schema. A released one never changes."""
