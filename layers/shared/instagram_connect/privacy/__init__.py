"""Meta's privacy callbacks: `callbacks` reads what is asked for, `requests` does it, `status_page` tells how far."""
