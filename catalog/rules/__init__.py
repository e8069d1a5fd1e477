"""What a failure is recognised by, whether two are the same kind, how sure we are, and why; no database in here."""

from .bands import Band, Thresholds, band_for
from .choice import Candidate, Choice, choose, refined
from .evidence import evidence, evidence_of
from .keys import keys_of
from .likeness import likeness, similarity
from .signature import SIGNATURE_VERSION, Signature, signature, signature_of
from .taxonomy import Taxonomy, taxonomy

__all__ = [
    "SIGNATURE_VERSION",
    "Band",
    "Candidate",
    "Choice",
    "Signature",
    "Taxonomy",
    "Thresholds",
    "band_for",
    "choose",
    "evidence",
    "evidence_of",
    "keys_of",
    "likeness",
    "refined",
    "signature",
    "signature_of",
    "similarity",
    "taxonomy",
]
