"""`python -m simcrop`, the form that `torchrun -m simcrop` needs."""

from simcrop.cli.app import main

if __name__ == "__main__":
    main()
