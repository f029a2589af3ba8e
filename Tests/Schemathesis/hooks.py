"""What every answer must be besides what its description says, as a check of schemathesis."""

import schemathesis

ALWAYS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


@schemathesis.check
def kept_nowhere(ctx, response, case):
    """Every answer forbids caches and guesses of its type."""
    for name, value in ALWAYS.items():
        assert value in ", ".join(response.headers.get(name, ())), f"{name} is not {value}"
