"""``python -m bridge`` is ``numora-bridge``."""

from bridge.cli import main

if __name__ == "__main__":
    main()
