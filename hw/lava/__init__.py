"""Run a quantized network as Intel Lava processes. Importing this package does not import Lava; its modules do."""
