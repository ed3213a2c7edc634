"""The three books, M-Pesa's, ours and Mifos X's, compared. Nothing in this room moves money."""
