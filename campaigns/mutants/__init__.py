"""Wrong variants of our own protocol: a campaign that does not catch them proves nothing."""
