"""Who may speak: the district's certificate authority, the gateways' certificates, and the broker that checks them.

Only commands use it, never the serving process: the authority's key is encrypted with a passphrase that a person types.
"""
