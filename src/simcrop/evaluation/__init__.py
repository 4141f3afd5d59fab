"""What a trained encoder knows: probes, pointing, and the controls that can refute it."""
