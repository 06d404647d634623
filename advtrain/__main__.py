"""`python -m advtrain`."""

from advtrain.cli import main

main()
