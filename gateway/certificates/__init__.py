"""A local CA and certificates for the data listener, in files.

authority  the CA, and what it signs
names      hosts as a certificate names them, and what a CA may sign for
folder     the files of one directory: made, kept, renewed, never somebody else's overwritten
files      reading and writing them safely
sheet      a certificate as people know it
trust      how each client is told to trust the CA
"""

from gateway.certificates.folder import Files, Leaf, Outcome, Refused, prepare
from gateway.certificates.names import LOOPBACK
from gateway.certificates.sheet import Sheet, read_sheet
from gateway.certificates.trust import BUNDLE, Way, ways

__all__ = [
    "BUNDLE",
    "LOOPBACK",
    "Files",
    "Leaf",
    "Outcome",
    "Refused",
    "Sheet",
    "Way",
    "prepare",
    "read_sheet",
    "ways",
]
