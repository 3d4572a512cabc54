"""Meta's privacy callbacks: `callbacks` parses them, `requests` carries them out, `status_page` shows progress."""
