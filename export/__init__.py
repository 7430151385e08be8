"""Network description, quantization and file formats. The description itself imports numpy only."""
