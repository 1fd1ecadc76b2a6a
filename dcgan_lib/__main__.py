"""`python -m dcgan_lib …` and `torchrun … -m dcgan_lib …`: the command `dcgan`."""

from .cli import main

if __name__ == "__main__":
    raise SystemExit(main())
