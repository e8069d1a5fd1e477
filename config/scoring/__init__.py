"""How well failures are grouped: a file of labelled ones through the matcher, each decision scored as it was made."""
