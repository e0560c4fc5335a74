"""Words of the rehearsal: pictures that carry a fault for a later step to act out."""

STORAGE_FAULT_MARKER = b"imagejobs-fault\x00storage"
