"""What networks compute between their convolutions. Knows no network: models may import this folder of ops and no other."""
