"""A module that cannot be imported, as the one at the end of a dotted path may be."""

raise RuntimeError("postgres://shop:hunter2@db.internal")
