"""Campaigns that try to break Loan Poll: faults, kills, races, chance, nonsense."""
