"""The story: events as they are told, and everything that is read from them."""
