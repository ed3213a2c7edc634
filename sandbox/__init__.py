"""A Mifos X and a Daraja that run on this machine over real HTTP, each with its own ledger."""
