"""Curves of a run where other programs look for them: TensorBoard, W&B and MLflow, made of the journal's numbers."""
