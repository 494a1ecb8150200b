"""`python -m chatstream_operator`: run the operator until SIGTERM."""

from chatstream_operator.handlers.main import main

if __name__ == "__main__":
    main()
