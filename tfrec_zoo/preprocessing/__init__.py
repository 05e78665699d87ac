"""What training and the exported graph both do to their inputs, written once."""
