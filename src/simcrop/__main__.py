"""`python -m simcrop`, the form that `torchrun -m simcrop` needs."""

from simcrop.cli import main

if __name__ == "__main__":
    main()
