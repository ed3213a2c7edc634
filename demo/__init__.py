"""The whole house on this machine: lenders, borrowers, faults and people, with no real money."""
