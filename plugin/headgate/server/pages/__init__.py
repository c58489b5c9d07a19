"""The pages over a store: server-rendered HTML that any door can mount.

They know no orchestrator and no web framework: a page is a function of the store, the visit (where, when, who) and the
parts of its address. ``site`` lists the addresses; a door mounts them and says what its users may read. Importing a
page loads no templating engine; rendering one does.
"""
