"""What the admin's templates ask of the desk."""
