"""Mifos X (Apache Fineract) over HTTP: typed answers, and errors that say what to do next."""
