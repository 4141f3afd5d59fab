"""What a cohort and its GPUs come to before anything is begun: `simcrop plan`."""
