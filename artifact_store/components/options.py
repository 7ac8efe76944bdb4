"""Resource options that a component hands down to its children."""

from __future__ import annotations

import pulumi


def guarded(opts: pulumi.ResourceOptions | None, protected: bool, *, retained: bool = False) -> pulumi.ResourceOptions:
    """Options of a component whose children are protected and retained with it, but for those that say otherwise.

    The engine deletes what is not protected before it refuses the rest, so a refused `pulumi destroy` would take the
    vault's lock and the backup selection with it if only bucket and vault were protected.
    """
    own = pulumi.ResourceOptions(protect=protected or None, retain_on_delete=retained or None)
    return pulumi.ResourceOptions.merge(opts, own)
