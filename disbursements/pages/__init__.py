"""The operations desk: what staff see of the loans. It reads; the steps write."""
