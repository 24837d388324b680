"""Who goes first when not everybody can: mechanisms, their accounts, and the suite that tells what each guarantees."""
