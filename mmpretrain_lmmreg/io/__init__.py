"""Files written whole, checksums, locks, the vector table, and text made safe to print."""
