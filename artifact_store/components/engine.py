"""What the program tells the engine besides resources: promise and warnings at preview, secrets as secrets."""

from __future__ import annotations

import pulumi

from artifact_store.design import Design
from artifact_store.errors import ConfigError
from artifact_store.promise import promise, text
from artifact_store.stack import of_engine


def guarded(opts: pulumi.ResourceOptions | None, protected: bool, *, retained: bool = False) -> pulumi.ResourceOptions:
    """Options of a component whose children are protected and retained with it, but for those that say otherwise.

    The engine deletes what is not protected before it refuses the rest, so a refused `pulumi destroy` would take the
    vault's lock and the backup selection with it if only bucket and vault were protected.
    """
    own = pulumi.ResourceOptions(protect=protected or None, retain_on_delete=retained or None)
    return pulumi.ResourceOptions.merge(opts, own)


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
