"""What commands share: arguments, reading of networks, results in words."""
