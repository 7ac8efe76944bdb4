"""`python -m artifact_store` is the command line."""

from artifact_store.cli.main import main

if __name__ == "__main__":
    main()
