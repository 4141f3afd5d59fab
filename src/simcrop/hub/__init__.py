"""Models on the Hugging Face Hub, by an explicit `hf://` id only, through its own client, and never as code."""
