"""What the program tells the engine besides resources: promise and warnings at preview, secrets as secrets."""

from __future__ import annotations

import pulumi

from artifact_store.design import Design
from artifact_store.errors import ConfigError
from artifact_store.promise import promise, text
from artifact_store.stack import of_engine


def decided(stack: str) -> tuple[Design, list[dict[str, str | int | None]]]:
    """What the stack's config makes: (design, promise as a stack output).

    Prints warnings and promise, so that who reads a preview sees what it promises. Raises pulumi.RunError with one
    line a fault, which the engine shows without a traceback.
    """
    try:
        store, warnings = of_engine(stack)
    except ConfigError as error:
        raise pulumi.RunError(str(error)) from error
    for warning in warnings:
        pulumi.log.warn(warning)
    rows = promise(store)
    pulumi.log.info(f"What can be got back from stack {stack}:\n{text(rows)}")
    return store, [row.export() for row in rows]
