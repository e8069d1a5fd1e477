"""How each kind of fault is done, one verb for each: to processes, to what they stand on, by who calls and is called."""
