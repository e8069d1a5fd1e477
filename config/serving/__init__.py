"""The whole product in one process: what `serve` is made of."""
