"""What tests share: places, random networks, independent derivations."""
