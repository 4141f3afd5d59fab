"""What a radiologist would write of it, sentence by sentence."""
