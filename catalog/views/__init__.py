"""The console's pages of patterns: the list, one pattern, and a catalogue as a file."""
